//! What this host's time service says of the clock: chrony's own measure, else the mark that systemd-timesyncd leaves.
//! Where neither is there (inside a container, say) nothing is reported; no value is made up.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::process::Program;

/// Where systemd-timesyncd keeps its state.
const TIMESYNCD: &str = "/run/systemd/timesync";

/// What is known of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClockState {
    /// Says whether it follows a source; `None` when no time service is seen.
    pub is_synchronized: Option<bool>,
    /// How far it is from its source, in seconds, without sign; chrony alone tells.
    pub offset: Option<f64>,
    /// When its source was last heard of, in seconds since the epoch.
    pub heard: Option<i64>,
}

/// Asks the host. Blocks for two seconds at most.
pub fn ask() -> ClockState {
    let program = Program::new("chronyc").options(["-c", "tracking"]).deadline(Duration::from_secs(2));
    let answer = program.output_limit(4096).run(b"").ok().filter(|done| done.status.success());
    answer.and_then(|done| chrony(&done.stdout)).unwrap_or_else(|| timesyncd(Path::new(TIMESYNCD)))
}

/// Reads the line that `chronyc -c tracking` prints: 14 fields, the fourth when the source was last
/// heard of, the fifth the correction in seconds, the last the leap status.
fn chrony(line: &[u8]) -> Option<ClockState> {
    let fields: Vec<&str> = std::str::from_utf8(line).ok()?.trim().split(',').collect();
    let (reference, correction, leap) = (fields.get(3)?, fields.get(4)?, fields.get(13)?);
    let offset: f64 = correction.parse().ok()?;
    let is_synchronized = *leap != "Not synchronised";
    let offset = (is_synchronized && offset.is_finite()).then(|| offset.abs());
    // Without a source it is the epoch.
    let heard = reference.split('.').next()?.parse().ok().filter(|seconds| *seconds > 0);
    Some(ClockState { is_synchronized: Some(is_synchronized), offset, heard })
}

/// systemd-timesyncd touches `synchronized` at each contact with its server, since boot.
fn timesyncd(directory: &Path) -> ClockState {
    if !directory.is_dir() {
        return ClockState::default();
    }
    let touched = std::fs::metadata(directory.join("synchronized")).and_then(|facts| facts.modified());
    let heard = touched.as_ref().ok().and_then(|touched| touched.duration_since(UNIX_EPOCH).ok());
    let heard = heard.and_then(|heard| i64::try_from(heard.as_secs()).ok());
    ClockState { is_synchronized: Some(touched.is_ok()), offset: None, heard }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_shape_says_nothing() {
        for line in ["", "506 Cannot talk to daemon", "a,b,c,d,x,f,g,h,i,j,k,l,m,Normal"] {
            assert_eq!(chrony(line.as_bytes()), None, "{line}");
        }
        assert_eq!(timesyncd(Path::new("/nonexistent")), ClockState::default());
    }

    /// What chronyc 4.3 printed before its daemon had heard of a source, and after.
    #[test]
    fn chrony_tells_offset_state_and_when_it_was_heard_of() {
        let line =
            b"7F000001,127.0.0.1,9,1795305580.789506039,-0.000002002,0.000000336,0.000000336,-0.656,-0.000,122.082,\
                     0.000008503,0.000049076,0.3,Normal\n";
        let heard = Some(1_795_305_580);
        assert_eq!(chrony(line), Some(ClockState { is_synchronized: Some(true), offset: Some(0.000_002_002), heard }));
        let line = b"00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,\
                     Not synchronised\n";
        assert_eq!(chrony(line), Some(ClockState { is_synchronized: Some(false), offset: None, heard: None }));
    }
}
