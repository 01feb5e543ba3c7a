//! From what an attempt showed to what a row says: held against the canaries, the positive control and the target's own
//! proof. Pure: opens nothing, waits for nothing.

use crate::probe::{Control, Family, Kind, OUT_OF_TIME, Outcome, State};
use crate::probe_attempt::{Proof, Seen};

/// What else was seen from the same vantage point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Against<'a> {
    /// An address that no host has, when it answered the same question on the same port.
    pub(crate) canary: Option<std::net::IpAddr>,
    /// The controls.
    pub(crate) controls: &'a [Control],
}

/// What the row says, and why.
pub(crate) fn judge(kind: Kind, family: Family, seen: Seen, against: Against<'_>) -> (Outcome, String) {
    let mut controls =
        against.controls.iter().filter(|control| control.kind == kind.wire() && control.family == family);
    let state = controls.next().map(|control| control.state);
    match seen.outcome {
        Outcome::Reachable | Outcome::Intercepted => match (seen.proof, against.canary) {
            (Proof::Other, _) => (Outcome::Intercepted, seen.detail),
            (Proof::Open, Some(canary)) => {
                (Outcome::Intercepted, format!("{canary}, which no host has, answers as well"))
            }
            (Proof::Open, None) | (Proof::Target, _) => (Outcome::Reachable, seen.detail),
        },
        Outcome::Broken if state == Some(State::Absent) => (Outcome::NoRoute, "no address of this version here".into()),
        closed if closed.is_closed() && state.is_none() => (Outcome::Broken, OUT_OF_TIME.into()),
        closed if closed.is_closed() && state == Some(State::Broken) => {
            (Outcome::Broken, format!("{closed}, but the control failed"))
        }
        other => (other, seen.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(outcome: Outcome, proof: Proof, canary: bool, state: State) -> Outcome {
        let controls = [Control { kind: Kind::Tcp, family: Family::V4, state, detail: "down".into() }];
        let canary = canary.then(|| "192.0.2.1".parse().unwrap());
        let seen = Seen { outcome, detail: String::new(), proof };
        judge(Kind::Http, Family::V4, seen, Against { canary, controls: &controls }).0
    }

    #[test]
    fn nothing_is_closed_that_the_control_does_not_prove() {
        for outcome in [Outcome::NoName, Outcome::NoRoute, Outcome::Filtered, Outcome::Refused] {
            assert_eq!(verdict(outcome, Proof::Open, false, State::Works), outcome);
            assert_eq!(verdict(outcome, Proof::Open, false, State::Broken), Outcome::Broken);
            assert_eq!(verdict(outcome, Proof::Open, false, State::Absent), outcome);
        }
        assert_eq!(verdict(Outcome::Broken, Proof::Open, false, State::Absent), Outcome::NoRoute);
        assert_eq!(verdict(Outcome::Broken, Proof::Open, false, State::Works), Outcome::Broken);
    }

    #[test]
    fn a_control_that_never_ran_proves_nothing() {
        let seen = || Seen { outcome: Outcome::Filtered, detail: String::new(), proof: Proof::Open };
        let verdict = judge(Kind::Tcp, Family::V4, seen(), Against { canary: None, controls: &[] });
        assert_eq!(verdict, (Outcome::Broken, OUT_OF_TIME.into()));
    }

    #[test]
    fn what_came_about_counts_with_and_without_a_control() {
        for state in [State::Works, State::Broken, State::Absent] {
            assert_eq!(verdict(Outcome::Reachable, Proof::Open, false, state), Outcome::Reachable);
            assert_eq!(verdict(Outcome::Reachable, Proof::Target, true, state), Outcome::Reachable);
            assert_eq!(verdict(Outcome::Reachable, Proof::Open, true, state), Outcome::Intercepted);
            assert_eq!(verdict(Outcome::Reachable, Proof::Other, false, state), Outcome::Intercepted);
        }
    }
}
