//! Enums whose values are words: each of them, its word, and back from it.

/// Gives an enum `ALL`, `as_str`, `Display` and `FromStr` by the word of each of its values; two at least,
/// in the order of its definition.
macro_rules! enum_words {
    ($type:ident, $what:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order of its definition.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// How it is written: in tables, logs and JSON, and where it is typed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::domain::enum_words::none_of(&[$($word),+], $what, text)),
                }
            }
        }
    };
}

pub(super) use enum_words;

/// That `text` is none of `words`, which say `what`.
pub(super) fn none_of(words: &[&str], what: &str, text: &str) -> String {
    let (last, others) = words.split_last().unwrap_or((&"", &[]));
    format!("`{text}` is no {what}; expected {} or {last}", others.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::bar::Adjustment;
    use super::super::run::JobStatus;

    #[test]
    fn words_read_back() {
        assert_eq!(Adjustment::ALL.map(Adjustment::as_str), ["raw", "splits", "all"]);
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!(format!("{:<4}|{:>7}", Adjustment::Raw, Adjustment::Splits), "raw | splits");
    }

    #[test]
    fn who_wrote_another_word_is_told_what_is_expected() {
        for other in ["", "Raw", "raw ", "none"] {
            let message = format!("`{other}` is no adjustment; expected raw, splits or all");
            assert_eq!(other.parse::<Adjustment>(), Err(message));
        }
    }
}
