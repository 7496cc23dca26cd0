//! Halves a batch in which the store refuses a value until the item is found, and writes the others.

use std::ops::Range;

use super::store_calls::NotWritten;

/// The result of writing a part of a batch. A refused part has one item.
pub(super) type Part<T> = (Range<usize>, Result<T, NotWritten>);

/// Writes the items of a batch in order, in one call if the store accepts that. An item that the store refuses costs
/// about two calls for each doubling of the batch. After any other failure, the rest is not written. Returns all parts
/// in order.
pub(super) async fn write<T, F>(items: usize, mut call: impl FnMut(Range<usize>) -> F) -> Vec<Part<T>>
where
    F: Future<Output = Result<T, NotWritten>>,
{
    let mut parts = Vec::with_capacity(1);
    let whole = 0..items;
    let mut left = Vec::from([whole]);
    while let Some(part) = left.pop().filter(|part| !part.is_empty()) {
        match call(part.clone()).await {
            Err(NotWritten::Refused(_)) if part.len() > 1 => {
                let middle = part.start + part.len() / 2;
                left.extend([middle..part.end, part.start..middle]);
            }
            Err(failed) if !matches!(failed, NotWritten::Refused(_)) => {
                parts.push((part.start..items, Err(failed)));
                break;
            }
            answer => parts.push((part, answer)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a batch of so many numbers to a store that refuses some. Returns the numbers in the store, the refused
    /// ones, and the number of calls.
    async fn written(items: usize, refused: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut stored, mut calls) = (Vec::new(), 0);
        let parts = write(items, |part| {
            calls += 1;
            let is_refused = part.clone().any(|item| refused.contains(&item));
            if !is_refused {
                stored.extend(part);
            }
            std::future::ready(if is_refused {
                Err(NotWritten::Refused("too long".to_owned()))
            } else {
                Ok(())
            })
        });
        let aside = parts.await.into_iter().filter(|(_, answer)| answer.is_err()).map(|(part, _)| part.start);
        (stored, aside.collect(), calls)
    }

    #[tokio::test]
    async fn what_is_taken_is_written_in_one_call() {
        assert_eq!(written(256, &[]).await, ((0..256).collect(), vec![], 1));
        assert_eq!(written(0, &[]).await, (vec![], vec![], 0));
    }

    #[tokio::test]
    async fn one_that_is_refused_is_found_and_the_rest_is_written_in_order() {
        for one in [0, 7, 100, 255] {
            let (stored, aside, calls) = written(256, &[one]).await;
            assert!(stored.iter().copied().eq((0..256).filter(|item| *item != one)));
            assert_eq!(aside, [one]);
            assert_eq!(calls, 17, "two for each of eight halvings, and the first");
        }
    }

    #[tokio::test]
    async fn many_that_are_refused_are_found() {
        let (stored, aside, _) = written(9, &[1, 2, 8]).await;
        assert_eq!((stored, aside), (vec![0, 3, 4, 5, 6, 7], vec![1, 2, 8]));
        assert!(written(3, &[0, 1, 2]).await.0.is_empty());
    }

    #[tokio::test]
    async fn after_another_failure_nothing_more_is_written_and_it_is_known_what_was() {
        let mut answers =
            [Err(NotWritten::Refused("too long".to_owned())), Ok(()), Err(NotWritten::Stopped)].into_iter();
        let parts = write(8, |_| std::future::ready(answers.next().expect("no call after that"))).await;
        assert_eq!(parts, [(0..4, Ok(())), (4..8, Err(NotWritten::Stopped))]);
    }
}
