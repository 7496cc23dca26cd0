pub(super) async fn whatever_happens_nothing_is_doubled_reordered_or_lost<B: super::Bed>() {}
