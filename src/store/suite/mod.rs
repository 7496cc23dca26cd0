//! The contract of the store as tests, for all stores.
//!
//! Each test is a function over any [`Backend`]. The list at the end runs all of them over each store, which is set up as in
//! production. Promises of a single store are tested beside that store.

mod alerts;
mod configured;
mod event_records;
mod events;
mod extremes;
mod fixtures;
mod holds;
mod lanes;
mod leases;
mod merge_requests;
mod model;
mod outbox;
mod people;
mod places;
#[expect(dead_code, reason = "the tests in tests/it take this file in as well, and use all of it")]
pub(super) mod private_postgres;
mod sealed;
mod tokens;
mod upgrade;
pub(super) mod watches;

use super::postgres::Postgres;
use super::seal::Keyring;
use super::sqlite::Sqlite;
use super::{Result, Store};
use crate::settings::Secret;

/// The version of the schema that an earlier program wrote.
#[derive(Clone, Copy)]
enum Former {
    /// Version 2.
    BeforeRebuild,
    /// Version 3.
    BeforeDigests,
}

/// A kind of store, and how tests make one.
trait Backend: Sized {
    type Store: Store;

    /// A place without a store. What is created there is removed when this is dropped.
    fn make() -> Self;

    /// Opens the store with the key of these tests, and creates it the first time. Only one may be open at a time.
    async fn open(&self) -> Self::Store {
        self.open_with(fixtures::keys("present", &[])).await.unwrap()
    }

    /// Puts a store here that an earlier version wrote (see [`upgrade`]). Returns the keys that its daemon is given.
    async fn restore(&self, version: Former) -> Keyring;

    /// Makes the store refuse every delivery to this target, as it refuses data that it can't store.
    async fn refuse_target(&self, target: &str);

    /// Opens the store with these keys.
    async fn open_with(&self, keys: Keyring) -> Result<Self::Store>;

    /// Opens the store beside the open one, as commands do.
    async fn open_beside(&self, keys: Keyring) -> Result<Self::Store>;

    /// All stored bytes that could contain a secret.
    async fn bytes(&self) -> Vec<u8>;

    /// Copies an integration's secrets to another one, as a person could who has the store and no key.
    async fn move_secrets(&self, from: i64, to: i64);
}

struct SqliteBackend(tempfile::TempDir);

impl SqliteBackend {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("forgebell.db")
    }
}

impl Backend for SqliteBackend {
    type Store = Sqlite;

    fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open_with(&self, keys: Keyring) -> Result<Sqlite> {
        Sqlite::open(&self.path(), keys)
    }

    async fn restore(&self, version: Former) -> Keyring {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        let dump = match version {
            Former::BeforeRebuild => include_str!("before_rebuild/sqlite.sql"),
            Former::BeforeDigests => include_str!("before_digests/sqlite.sql"),
        };
        connection.execute_batch(dump).unwrap();
        let key = self.path().with_file_name("forgebell.db.key");
        std::fs::write(key, include_str!("before_rebuild/sqlite.key")).unwrap();
        Keyring::none()
    }

    async fn refuse_target(&self, target: &str) {
        let trigger = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON deliveries WHEN new.target = '{target}'
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        );
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(&trigger).unwrap();
    }

    async fn open_beside(&self, keys: Keyring) -> Result<Sqlite> {
        Sqlite::open_shared(&self.path(), keys)
    }

    async fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        files.flat_map(|file| std::fs::read(file).unwrap()).collect()
    }

    async fn move_secrets(&self, from: i64, to: i64) {
        const MOVE: &str = "UPDATE integrations SET secrets = (SELECT secrets FROM integrations WHERE id = ?1) WHERE id = ?2";
        let moved = rusqlite::Connection::open(self.path()).unwrap().execute(MOVE, [from, to]).unwrap();
        assert_eq!(moved, 1);
    }
}

/// A new database on the tests' server.
struct PostgresBackend(Secret);

impl PostgresBackend {
    async fn run(&self, sql: &str) {
        let (client, connection) =
            tokio_postgres::connect(self.0.expose(), tokio_postgres::NoTls).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "it ends with the connection that it belongs to")]
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }
}

impl Backend for PostgresBackend {
    type Store = Postgres;

    fn make() -> Self {
        Self(Secret::new(private_postgres::database()))
    }

    async fn open_with(&self, keys: Keyring) -> Result<Postgres> {
        Postgres::open(&self.0, None, keys).await
    }

    async fn restore(&self, version: Former) -> Keyring {
        let dump = match version {
            Former::BeforeRebuild => include_str!("before_rebuild/postgres.sql"),
            Former::BeforeDigests => include_str!("before_digests/postgres.sql"),
        };
        self.run(dump).await;
        fixtures::keys("present", &[])
    }

    async fn refuse_target(&self, target: &str) {
        self.run(&format!("ALTER TABLE forgebell.deliveries ADD CHECK (target <> '{target}')")).await;
    }

    async fn open_beside(&self, keys: Keyring) -> Result<Postgres> {
        Postgres::open_shared(&self.0, None, keys).await
    }

    async fn bytes(&self) -> Vec<u8> {
        let store = self.open_beside(Keyring::none()).await.unwrap();
        // The text of a row shows bytes as hexadecimal numbers, so the column of secrets is read as well.
        let integrations = "SELECT coalesce(secrets, ''), i::text FROM integrations AS i";
        let audit = "SELECT ''::bytea, a::text FROM audit AS a";
        let rows = [store.ask(integrations, &[]).await, store.ask(audit, &[]).await].concat();
        rows.iter()
            .flat_map(|row| [row.get::<_, Vec<u8>>(0), row.get::<_, String>(1).into_bytes()].concat())
            .collect()
    }

    async fn move_secrets(&self, from: i64, to: i64) {
        const MOVE: &str =
            "UPDATE integrations SET secrets = (SELECT secrets FROM integrations WHERE id = $1)
             WHERE id = $2 RETURNING id";
        let store = self.open_beside(Keyring::none()).await.unwrap();
        assert_eq!(store.ask(MOVE, &[&from, &to]).await.len(), 1);
    }
}

macro_rules! promises {
    ($store:ident: $backend:ty) => {
        mod $store {
            use super::*;

            promises! { $backend =>
                outbox::{
                    a_delivery_is_written_once_and_dispatching_again_changes_nothing,
                    a_known_event_ends_the_message_also_when_its_settled_deliveries_are_gone,
                    a_redelivered_body_that_is_known_changes_nothing,
                    a_redelivered_body_is_a_repeat_within_ten_minutes_and_once_for_each_event,
                    an_event_without_deliveries_leaves_the_inbox_and_nothing_else,
                    a_batch_is_written_whole_or_not_at_all,
                    a_claim_brings_the_event_as_it_came,
                    a_claim_takes_the_oldest_first_and_says_whether_there_is_more,
                    a_claim_ends_with_the_row_that_fills_its_portion,
                    a_row_that_is_not_due_is_not_handed_out,
                    what_is_settled_stays_settled_over_a_restart,
                    a_settlement_for_a_row_that_is_gone_is_ignored,
                    waiting_names_each_destination_at_its_earliest_moment,
                }
                watches::{
                    a_watch_is_handed_out_when_it_is_due_and_to_one_node_at_a_time,
                    what_the_service_says_is_kept_and_a_silence_leaves_it,
                    a_result_is_announced_once_and_with_the_end_of_the_watch,
                    a_watch_begins_with_the_outcome_of_the_delivery_that_triggered_the_build,
                    the_outcome_before_is_of_the_same_build_and_the_last_that_passed_or_failed,
                    a_hold_begins_with_the_question_that_led_to_it,
                    a_watch_of_another_clock_is_asked_about_soon,
                    watches_that_ended_are_swept_with_what_was_delivered,
                    pushes_within_the_pause_are_one_question_and_a_later_one_is_another,
                    the_health_of_a_service_is_its_last_answer_and_since_when_it_is_so,
                    health_that_is_too_old_is_swept,
                }
                alerts::{
                    an_alert_is_news_once_until_it_ended_and_fires_again,
                    the_alerts_of_one_report_are_noted_in_order_and_in_one_commit,
                    alerts_of_two_keys_do_not_know_of_each_other,
                    alerts_that_are_no_longer_reported_are_swept,
                }
                merge_requests::{
                    an_open_merge_request_is_found_by_its_branch_until_it_ends,
                    a_merge_request_of_a_fork_has_another_branch,
                    the_latest_event_of_a_merge_request_counts_however_they_come,
                    what_an_event_says_is_written_with_its_deliveries_or_out_of_the_inbox,
                    what_was_said_in_the_future_was_said_now,
                    what_was_said_long_ago_does_not_count_and_is_swept,
                    a_merge_request_may_have_any_numbers_and_names,
                }
                lanes::{
                    a_newer_state_replaces_what_waits,
                    what_is_under_way_is_replaced_when_it_would_wait,
                    what_was_replaced_under_way_does_not_return_after_a_crash,
                    a_lane_keeps_its_order_through_retries,
                    a_lane_is_claimed_in_one_go_and_in_order,
                    a_row_of_a_lane_that_another_node_works_on_waits_for_it,
                    a_node_may_have_the_next_of_a_lane_it_works_on,
                    a_lease_is_refused_where_an_earlier_row_waits,
                    a_lane_spread_over_two_destinations_keeps_its_order,
                    what_the_limit_left_of_a_lane_is_claimed_next,
                }
                leases::{
                    a_leased_row_is_not_handed_out_twice,
                    leases_lapse,
                    renewed_leases_last,
                    a_started_row_stays_marked_until_it_waits_or_is_resent,
                    what_is_given_back_is_as_due_as_it_was,
                    a_leased_row_moves_to_another_destination,
                    nobody_gives_back_what_another_holds,
                    recovery_ends_what_a_former_life_left_behind,
                    a_settlement_after_the_lease_was_lost_is_recorded,
                    a_late_word_does_not_end_anothers_lease,
                    a_late_delivered_is_a_fact,
                    nothing_reopens_what_is_settled,
                }
                holds::{
                    a_held_destination_gives_nothing_until_the_hold_ends,
                    a_hold_survives_a_restart,
                    a_held_route_holds_up_that_target_only,
                    many_rows_of_a_held_route_hide_nothing,
                    a_longer_hold_is_not_shortened,
                    a_longer_hold_replaces_a_shorter_one,
                    a_hold_that_ended_is_gone_and_its_rows_are_due,
                    what_waits_for_an_address_is_due_when_its_hold_ends,
                    holds_of_every_kind_are_kept_apart,
                    a_held_address_or_bucket_keeps_no_row_in_the_store,
                    new_settings_end_what_was_held_under_the_old_ones,
                    new_settings_end_holds_of_every_kind_but_what_the_service_asked_for,
                    a_shared_destination_is_not_freed_by_new_settings,
                    a_refused_login_ends_with_new_settings_though_others_wait_for_it,
                    an_integration_that_is_gone_holds_nothing,
                    waits_of_another_clock_are_shortened,
                }
                events::{
                    pushing_an_event_twice_keeps_one,
                    the_inbox_gives_its_events_in_order_until_they_are_dispatched,
                    a_discarded_event_is_known_and_gone,
                    an_event_that_was_dispatched_is_known_to_the_inbox,
                    an_event_over_two_ways_is_dispatched_once_by_whichever_comes_first,
                    an_event_that_only_the_log_has_is_read_from_the_inbox_when_it_comes_again,
                    quarantine_keeps_the_bytes_and_the_reason,
                    quarantine_is_listed_newest_first_in_pages,
                    the_use_of_the_quarantine_is_known_for_each_sender,
                }
                event_records::{
                    events_are_listed_newest_first_with_what_became_of_them,
                    events_are_filtered_by_what_people_ask_for,
                    events_are_listed_in_pages,
                    events_of_a_project_that_had_the_path_before_are_not_anothers,
                    events_of_an_integration_are_found_by_any_of_its_ids,
                    a_time_is_found_among_events_that_came_in_disorder,
                    the_json_of_a_told_event_is_shown,
                    the_json_of_an_event_that_nobody_wanted_is_shown_where_it_is_kept,
                    an_event_over_http_that_leads_to_nothing_is_logged,
                }
                people::{
                    the_list_shows_newest_first_in_pages,
                    the_list_is_filtered_by_state_and_integration,
                    the_list_is_filtered_by_project_event_and_time,
                    a_waiting_delivery_is_cancelled_and_the_next_of_its_lane_follows,
                    a_cancelled_dead_letter_is_not_counted_any_more,
                    the_detail_tells_the_whole_story,
                    a_dead_letter_is_sent_again,
                    a_resent_letter_goes_before_the_later_ones_of_its_lane,
                    what_is_on_its_way_is_not_resent,
                    depth_counts_what_waits,
                    an_overview_groups_what_waits_and_what_was_given_up,
                    sweeping_takes_what_is_too_old_and_only_that,
                    sweeping_takes_a_bounded_piece_at_a_time,
                    the_store_answers,
                }
                configured::{
                    an_integration_comes_back_as_it_was_set,
                    every_change_gets_the_next_revision_and_is_found_after_the_one_before,
                    whoever_was_ahead_of_the_store_gets_everything,
                    of_two_changes_made_from_the_same_state_one_is_outdated,
                    of_two_rivals_that_are_set_at_the_same_time_one_is_outdated,
                    changers_of_different_fields_lose_nothing,
                    what_is_refused_leaves_no_line_in_the_audit_log,
                    the_audit_log_tells_who_changed_what_newest_first_in_pages,
                    a_mute_is_replaced_and_ended_by_a_moment_that_is_past,
                    mutes_that_ended_long_ago_are_swept_and_others_stay,
                    a_restart_keeps_everything,
                }
                places::{
                    a_project_is_learned_and_what_is_not_told_stays,
                    what_is_as_it_was_keeps_its_revision,
                    a_rename_follows_the_number,
                    a_path_is_taken_from_whoever_had_it,
                    two_projects_that_swap_their_paths_both_keep_one,
                    a_correction_stays_beside_what_is_learned,
                    what_a_correction_does_not_name_is_anothers,
                    paths_differ_by_more_than_the_case_of_letters,
                    a_group_is_found_by_its_number_and_then_by_its_path,
                    a_groups_path_passes_on_without_what_hangs_on_the_group,
                }
                tokens::{
                    a_token_is_kept_by_its_digest,
                    a_token_ends_once,
                    a_session_that_was_ended_is_known_to_every_node_until_it_would_have_ended,
                    a_token_that_was_there_before_is_refused,
                }
                sealed::{
                    secrets_are_in_the_store_and_nowhere_to_be_read,
                    secrets_of_another_row_do_not_open,
                    a_store_without_its_key_refuses_to_open_and_says_what_is_missing,
                    a_command_that_needs_no_secret_needs_no_key,
                    without_a_key_no_secret_is_written,
                    rekeying_seals_everything_with_the_present_key,
                    rekeying_beside_a_daemon_loses_no_change,
                    what_no_key_opens_can_be_given_up_and_set_again,
                }
                extremes::{
                    keys_of_any_length_are_kept_apart_by_their_last_letter,
                    a_held_route_of_any_length_holds_that_target_only,
                    strange_texts_come_back_as_they_were,
                    numbers_and_moments_at_their_limits_are_stored,
                    paths_of_any_length_name_one_project_each,
                    a_mute_of_a_long_channel_is_replaced,
                    a_refused_value_is_named_so_and_undoes_nothing_else,
                }
                upgrade::{
                    routes_known_before_are_known_by_their_digests,
                    holds_and_places_known_before_are_known_by_their_digests,
                    an_upgraded_store_lists_all_its_deliveries,
                    an_upgraded_store_hands_out_what_waits_in_order,
                    an_upgraded_store_keeps_its_holds,
                    an_upgraded_store_knows_repeats,
                    an_upgraded_store_resends_and_sweeps,
                    an_upgraded_store_keeps_what_is_configured,
                    an_upgraded_store_goes_on_changing_what_is_configured,
                }
                model::{
                    whatever_happens_nothing_is_doubled_reordered_or_lost,
                }
            }
        }
    };
    ($backend:ty => $($room:ident::{$($promise:ident,)+})+) => {
        $($(
            #[test]
            fn $promise() {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on($room::$promise::<$backend>());
            }
        )+)+
    };
}

promises!(sqlite: SqliteBackend);
promises!(postgres: PostgresBackend);
