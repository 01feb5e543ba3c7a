//! The frame of `preflight` and `doctor`: a check looks at one thing and says what it saw, also when it could not look. All run
//! at once, each with a patience of its own; whoever is late is named, and never left out.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use base::{Finding, Severity};
use serde::Serialize;

use crate::catalogue::{self, Known};

/// How long a check may take, unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_millis(1700);

/// One check. `W` is the world that it looks at.
#[derive(Debug)]
pub struct Check<W> {
    /// The finding that it gives, whose id is the check's own. Checks that call others may give theirs beside it.
    pub known: &'static Known,
    /// What it looks at.
    pub subject: &'static str,
    /// How long it may take.
    pub patience: Duration,
    /// Looks.
    pub look: fn(&W) -> Vec<Finding>,
}

/// What a check said.
#[derive(Debug, Serialize)]
pub struct Looked {
    /// The check's id.
    pub check: &'static str,
    /// What it looked at.
    pub looks_at: &'static str,
    /// The worst of what it saw.
    pub outcome: Severity,
    /// All that it saw; at least one.
    pub findings: Vec<Finding>,
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub checks: usize,
    /// Those with nothing to say against what they saw.
    pub ok: usize,
    /// Those that warn.
    pub warnings: usize,
    /// Those that failed.
    pub failures: usize,
    /// Those that could not look, or were not asked to.
    pub not_looked: usize,
}

impl Looked {
    /// All that it saw, for a pipeline, which counts by name: a check that calls another verb's gives that verb's findings, and must
    /// itself be there on good days and on bad ones.
    pub fn with_own(&self) -> Vec<Finding> {
        let mut all = self.findings.clone();
        let own = catalogue::find(self.check).filter(|_| all.iter().all(|finding| finding.id != self.check));
        if let Some(known) = own {
            let message = format!("gave what is listed beside it: {}", all.len());
            all.insert(0, known.found(self.outcome, self.looks_at, message));
        }
        all
    }
}

impl<W> Check<W> {
    /// A check of the usual patience.
    pub(crate) const fn new(known: &'static Known, subject: &'static str, look: fn(&W) -> Vec<Finding>) -> Self {
        Self { known, subject, patience: PATIENCE, look }
    }

    /// One that may take longer.
    pub(crate) const fn patient(mut self, seconds: u64) -> Self {
        self.patience = Duration::from_secs(seconds);
        self
    }
}

impl Known {
    /// Nothing to say against it.
    pub(crate) fn fine(&'static self, subject: impl Into<String>, message: impl Into<String>) -> Vec<Finding> {
        vec![self.found(Severity::Ok, subject, message)]
    }

    /// Works today, but the operator should know.
    pub(crate) fn warns(&'static self, subject: impl Into<String>, message: impl Into<String>) -> Vec<Finding> {
        vec![self.found(Severity::Warning, subject, message)]
    }

    /// Does not work, or will not.
    pub(crate) fn fails(&'static self, subject: impl Into<String>, message: impl Into<String>) -> Vec<Finding> {
        vec![self.found(Severity::Error, subject, message)]
    }

    /// Could not look, or was not asked to.
    pub(crate) fn unseen(&'static self, subject: impl Into<String>, message: impl Into<String>) -> Vec<Finding> {
        vec![self.found(Severity::Unknown, subject, message)]
    }
}

/// Runs the checks at once and gives what each said, in their order. Returns when all have answered or run out of patience.
pub fn run<W: Send + Sync + 'static>(world: &Arc<W>, checks: &[&'static Check<W>]) -> Vec<Looked> {
    let begun = Instant::now();
    let (answer, answers) = mpsc::channel();
    let mut said: Vec<Option<Vec<Finding>>> = Vec::new();
    for (index, check) in checks.iter().copied().enumerate() {
        let (answer, inside) = (answer.clone(), Arc::clone(world));
        let look = move || drop(answer.send((index, (check.look)(&inside))));
        let started = std::thread::Builder::new().name(check.known.id.into()).spawn(look);
        // Where no further thread may start, the check runs here: slower, and not left out.
        said.push(started.is_err().then(|| (check.look)(world)));
    }
    drop(answer);
    while let Some(end) = last_end(begun, checks, &said) {
        let left = end.saturating_duration_since(Instant::now());
        let Ok((index, findings)) = answers.recv_timeout(left) else { break };
        if let Some(place) = said.get_mut(index) {
            *place = Some(findings);
        }
    }
    checks.iter().zip(said).map(|(check, findings)| looked(check, findings)).collect()
}

/// When the most patient of those without an answer gives up.
fn last_end<W>(begun: Instant, checks: &[&Check<W>], said: &[Option<Vec<Finding>>]) -> Option<Instant> {
    let waiting = checks.iter().zip(said).filter(|(_, findings)| findings.is_none());
    waiting.map(|(check, _)| begun + check.patience).max()
}

fn looked<W>(check: &Check<W>, findings: Option<Vec<Finding>>) -> Looked {
    let seconds = check.patience.as_secs_f32();
    let late = || check.known.unseen(check.subject, format!("gave no answer within {seconds:.1} s"));
    let silent = || check.known.unseen(check.subject, "saw nothing to speak of");
    let findings = findings.unwrap_or_else(late);
    let findings = if findings.is_empty() { silent() } else { findings };
    let outcome = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Unknown);
    Looked { check: check.known.id, looks_at: check.subject, outcome, findings }
}

/// How many ended how.
pub fn counted(looked: &[Looked]) -> Counts {
    let of = |outcome| looked.iter().filter(|one| one.outcome == outcome).count();
    Counts {
        checks: looked.len(),
        ok: of(Severity::Ok),
        warnings: of(Severity::Warning),
        failures: of(Severity::Error),
        not_looked: of(Severity::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World;

    fn fine(_: &World) -> Vec<Finding> {
        catalogue::HOST_KERNEL.fine("kernel", "6.1")
    }

    fn sleeps(_: &World) -> Vec<Finding> {
        std::thread::park_timeout(Duration::from_mins(1));
        Vec::new()
    }

    fn ends(_: &World) -> Vec<Finding> {
        panic!("a check that ends like this is still named")
    }

    static FINE: Check<World> = Check::new(&catalogue::HOST_KERNEL, "kernel", fine);
    static SLEEPS: Check<World> =
        Check { patience: Duration::from_millis(50), ..Check::new(&catalogue::HOST_MEMORY, "memory", sleeps) };
    static ENDS: Check<World> =
        Check { patience: Duration::from_millis(50), ..Check::new(&catalogue::HOST_SWAP, "swap", ends) };

    #[test]
    fn whoever_is_late_or_ends_is_named_and_nobody_waits_for_the_sum() {
        let begun = Instant::now();
        let looked = run(&Arc::new(World), &[&SLEEPS, &FINE, &ENDS, &SLEEPS]);
        assert!(begun.elapsed() < Duration::from_secs(5));
        let outcomes: Vec<_> = looked.iter().map(|one| (one.check, one.outcome)).collect();
        let (late, fine) = (Severity::Unknown, Severity::Ok);
        let memory = catalogue::HOST_MEMORY.id;
        assert_eq!(
            outcomes,
            [(memory, late), (catalogue::HOST_KERNEL.id, fine), (catalogue::HOST_SWAP.id, late), (memory, late)]
        );
        assert_eq!(counted(&looked), Counts { checks: 4, ok: 1, not_looked: 3, ..Counts::default() });
    }
}
