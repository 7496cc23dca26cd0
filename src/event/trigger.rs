//! The flags by which an integration selects its events, with GitLab's names.

use super::Trigger;

/// Declares [`Trigger`]: a row for each trigger, in the order in which GitLab's documentation lists the flags.
macro_rules! triggers {
    ($($(#[$about:meta])* $trigger:ident { name: $name:literal, flag: $flag:literal, on_by_default: $on:literal })*) => {
        /// Selects an event: each trigger is one `…_events` flag of an integration and one `…_channel` setting.
        ///
        /// Confidential issues, notes and mentions have a trigger of their own, and *only* that one: an integration that
        /// takes issues does not get confidential issues unless that flag is set too.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Trigger {
            $($(#[$about])* $trigger,)*
        }

        impl Trigger {
            /// Every trigger.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$trigger),*];

            /// The event's name, as in `event_type` and before `_channel`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$trigger => $name,)*
                }
            }

            /// The integration's flag. Three are plural, as in GitLab.
            pub const fn flag(self) -> &'static str {
                match self {
                    $(Self::$trigger => $flag,)*
                }
            }

            /// The flag's value on a new integration.
            pub const fn on_by_default(self) -> bool {
                match self {
                    $(Self::$trigger => $on,)*
                }
            }

            /// The JSON of the sample event, from the folder `samples`.
            const fn sample_json(self) -> &'static str {
                match self {
                    $(Self::$trigger => include_str!(concat!("samples/", $name, ".json")),)*
                }
            }
        }
    };
}
pub(super) use triggers;

impl Trigger {
    /// The trigger with this `…_events` flag.
    pub fn from_flag(flag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.flag() == flag)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl std::fmt::Display for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of triggers: those that an integration has enabled, or those that an adapter supports.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Triggers(u32);

impl Triggers {
    /// The set of the given triggers.
    pub const fn of(triggers: &[Trigger]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < triggers.len() {
            bits |= triggers[i].bit();
            i += 1;
        }
        Self(bits)
    }

    /// GitLab's defaults for a new integration.
    pub fn by_default() -> Self {
        Trigger::ALL.into_iter().filter(|t| t.on_by_default()).collect()
    }

    /// The union of both sets.
    #[must_use]
    pub const fn and(self, those: Self) -> Self {
        Self(self.0 | those.0)
    }

    /// This set without the members of the other.
    #[must_use]
    pub const fn without(self, those: Self) -> Self {
        Self(self.0 & !those.0)
    }

    pub const fn contains(self, trigger: Trigger) -> bool {
        self.0 & trigger.bit() != 0
    }

    /// Adds or removes one trigger.
    pub fn set(&mut self, trigger: Trigger, on: bool) {
        if on {
            self.0 |= trigger.bit();
        } else {
            self.0 &= !trigger.bit();
        }
    }

    /// The members, in the order of [`Trigger::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Trigger> {
        Trigger::ALL.into_iter().filter(move |trigger| self.contains(*trigger))
    }
}

impl FromIterator<Trigger> for Triggers {
    fn from_iter<I: IntoIterator<Item = Trigger>>(triggers: I) -> Self {
        let mut set = Self::default();
        triggers.into_iter().for_each(|trigger| set.set(trigger, true));
        set
    }
}

impl std::fmt::Debug for Triggers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
