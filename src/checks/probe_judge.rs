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
/// Without a protocol version both must have been able to see.
pub(crate) fn judge(kind: Kind, family: Option<Family>, seen: Seen, against: Against<'_>) -> (Outcome, String) {
    let is_own =
        |control: &&Control| control.kind == kind.wire() && family.is_none_or(|family| control.family == family);
    let state = against.controls.iter().filter(is_own).map(|control| control.state).max_by_key(|state| match state {
        State::Absent => 0,
        State::Works => 1,
        State::Broken => 2,
    });
    let is_lookup_broken = kind != Kind::Name
        && against.controls.iter().any(|control| control.kind == Kind::Name && control.state == State::Broken);
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
        Outcome::NoName if is_lookup_broken => (Outcome::Broken, "no name, but the look-up's control failed".into()),
        other => (other, seen.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::State::{Absent, Broken, Works};

    fn verdict(outcome: Outcome, proof: Proof, canary: bool, state: State) -> Outcome {
        let controls = [Control { kind: Kind::Tcp, family: Family::V4, state, detail: "down".into() }];
        let canary = canary.then(|| "192.0.2.1".parse().unwrap());
        let seen = Seen { proof, ..Seen::new(outcome, "") };
        judge(Kind::Http, Some(Family::V4), seen, Against { canary, controls: &controls }).0
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
        let seen = Seen::new(Outcome::Filtered, "");
        let verdict = judge(Kind::Tcp, Some(Family::V4), seen, Against { canary: None, controls: &[] });
        assert_eq!(verdict, (Outcome::Broken, OUT_OF_TIME.into()));
    }

    #[test]
    fn a_look_without_a_version_needs_both_and_a_name_needs_the_look_up() {
        let control = |kind, family, state| Control { kind, family, state, detail: String::new() };
        let verdict = |kind, outcome, six, lookup| {
            let controls = [
                control(Kind::Tcp, Family::V4, State::Works),
                control(Kind::Tcp, Family::V6, six),
                control(Kind::Dns, Family::V4, State::Works),
                control(Kind::Name, Family::V4, lookup),
            ];
            judge(kind, None, Seen::new(outcome, ""), Against { canary: None, controls: &controls }).0
        };
        assert_eq!(verdict(Kind::Proxy, Outcome::Refused, Works, Works), Outcome::Refused);
        assert_eq!(verdict(Kind::Proxy, Outcome::Refused, Absent, Works), Outcome::Refused);
        assert_eq!(verdict(Kind::Proxy, Outcome::Refused, Broken, Works), Outcome::Broken);
        assert_eq!(verdict(Kind::Proxy, Outcome::NoName, Works, Broken), Outcome::Broken);
        assert_eq!(verdict(Kind::Proxy, Outcome::Refused, Works, Broken), Outcome::Refused);
        assert_eq!(verdict(Kind::Name, Outcome::NoName, Works, Broken), Outcome::NoName, "the resolver said it itself");
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
