//! Finds the end of a chunked body, to know where the next head begins: RFC 9112, section 7.1.
//!
//! hyper decodes the body and refuses errors in it. This module only tracks the position. Where hyper would refuse the
//! body, tracking stops, and the rest passes unchanged.

/// Where in a chunked body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the size; this part of it was read.
    Size(u64),
    /// In the extension after the size, or at the line feed that ends the line.
    Extension(u64),
    SizeLf(u64),
    /// In a chunk; so many bytes of it are left.
    Data(u64),
    DataCr,
    DataLf,
    /// In the trailers, at the begin of a line.
    TrailerStart,
    /// In a line of the trailers; whether the last byte was a carriage return.
    Trailer {
        cr: bool,
    },
    /// At the line feed that ends the body.
    EndLf,
}

/// The result of following a piece of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The body has not ended.
    Within,
    /// The body ended after this many bytes of the piece.
    Ended(usize),
    /// The trailers have a line feed without a carriage return, at this place in the piece.
    BareLf(usize),
    /// hyper will refuse it.
    Invalid,
}

impl Chunks {
    pub(super) const START: Self = Self::Size(0);

    /// Follows the next piece.
    pub(super) fn follow(&mut self, piece: &[u8]) -> Progress {
        let mut at = 0;
        while at < piece.len() {
            if let Self::Data(left) = *self {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len() - at);
                at += skipped;
                *self = match left - skipped as u64 {
                    0 => Self::DataCr,
                    left => Self::Data(left),
                };
                continue;
            }
            *self = match (*self, piece[at]) {
                (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeLf(size),
                (Self::Size(size), b';' | b' ' | b'\t') => Self::Extension(size),
                (Self::Size(size), digit) => match with_digit(size, digit) {
                    Some(size) => Self::Size(size),
                    None => return Progress::Invalid,
                },
                (Self::Extension(size), byte) if byte != b'\n' => Self::Extension(size),
                (Self::SizeLf(0) | Self::Trailer { cr: true }, b'\n') => Self::TrailerStart,
                (Self::SizeLf(size), b'\n') => Self::Data(size),
                (Self::DataCr, b'\r') => Self::DataLf,
                (Self::DataLf, b'\n') => Self::Size(0),
                (Self::TrailerStart, b'\r') => Self::EndLf,
                (Self::EndLf, b'\n') => return Progress::Ended(at + 1),
                (Self::TrailerStart | Self::Trailer { cr: false }, b'\n') => return Progress::BareLf(at),
                (Self::TrailerStart | Self::Trailer { .. }, byte) => Self::Trailer { cr: byte == b'\r' },
                _ => return Progress::Invalid,
            };
            at += 1;
        }
        Progress::Within
    }
}

fn with_digit(size: u64, digit: u8) -> Option<u64> {
    let digit = char::from(digit).to_digit(16)?;
    size.checked_mul(16)?.checked_add(u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "5\r\nhello\r\nA;name=\"v\"\r\n0123\r\n\n789\r\n0\r\nx-check: 1\r\n\r\n";

    fn after_start(piece: &str) -> Progress {
        let mut chunks = Chunks::START;
        chunks.follow(piece.as_bytes())
    }

    #[test]
    fn the_end_is_found_however_the_body_is_cut_into_pieces() {
        let all = format!("{BODY}GET / HTTP/1.1\r\n");
        for size in 1..=all.len() {
            let (mut chunks, mut passed) = (Chunks::START, 0);
            for piece in all.as_bytes().chunks(size) {
                match chunks.follow(piece) {
                    Progress::Within => passed += piece.len(),
                    Progress::Ended(at) => {
                        assert_eq!(passed + at, BODY.len(), "pieces of {size}");
                        passed = usize::MAX;
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(passed, usize::MAX, "pieces of {size}");
        }
    }

    #[test]
    fn a_bare_line_feed_in_the_trailers_is_found() {
        assert_eq!(after_start("0\r\nx-check: 1\n\r\n"), Progress::BareLf(13));
        assert_eq!(after_start("0\r\n\n"), Progress::BareLf(3));
    }

    #[test]
    fn what_is_no_chunk_is_given_up() {
        for wrong in ["x", "5\n", "5;a\n", "1\r\nab", "10000000000000000\r\n"] {
            assert_eq!(after_start(wrong), Progress::Invalid, "{wrong:?}");
        }
    }
}
