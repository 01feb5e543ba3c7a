//! Findings as SARIF 2.1.0, which code hosts show at the file. Names no schema by address: a closed network has none.

use base::{Finding, Severity};
use serde_json::{Value, json};

use crate::catalogue;
use crate::render::Report;

/// The whole document.
pub(crate) fn render(report: Report<'_>) -> String {
    let mut ids: Vec<&str> = report.findings.iter().map(|finding| finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rules: Vec<Value> = ids.iter().map(|id| rule(id)).collect();
    let results: Vec<Value> = report.findings.iter().map(|finding| result(finding, report.file)).collect();
    let driver = json!({"name": "gitgrit-ops", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    let run = json!({
        "tool": {"driver": driver},
        "automationDetails": {"id": report.check},
        "results": results,
    });
    format!("{:#}\n", json!({"version": "2.1.0", "runs": [run]}))
}

fn rule(id: &str) -> Value {
    let (meaning, fix) = catalogue::find(id).map(|known| (known.meaning, known.fix)).unwrap_or_default();
    let help = if fix.is_empty() { meaning } else { fix };
    json!({"id": id, "shortDescription": {"text": meaning}, "help": {"text": help}})
}

fn result(finding: &Finding, file: Option<&str>) -> Value {
    let (kind, level) = match finding.severity {
        Severity::Ok => ("pass", "none"),
        Severity::Unknown => ("open", "none"),
        Severity::Warning => ("fail", "warning"),
        Severity::Error => ("fail", "error"),
    };
    let text = format!("{}: {}", finding.subject, finding.message);
    let mut result = json!({"ruleId": finding.id, "kind": kind, "level": level, "message": {"text": text}});
    let Some(fields) = result.as_object_mut() else { return result };
    let thing = json!({"fullyQualifiedName": finding.subject, "kind": "resource"});
    let mut location = json!({"logicalLocations": [thing]});
    if let (Some(file), Some(location)) = (file, location.as_object_mut()) {
        let mut place = json!({"artifactLocation": {"uri": uri(file)}});
        if let (Some(line), Some(place)) = (finding.line, place.as_object_mut()) {
            place.insert("region".into(), json!({"startLine": line}));
        }
        location.insert("physicalLocation".into(), place);
    }
    fields.insert("locations".into(), json!([location]));
    result
}

/// A path as SARIF has it: what has another meaning in an address is written as its number.
fn uri(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().fold(String::new(), |uri, byte| {
        if is_plain(byte) { uri + char::from(byte).encode_utf8(&mut [0; 4]) } else { format!("{uri}%{byte:02X}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_an_address_and_a_line() {
        let found = catalogue::ENV_PORT.found(Severity::Error, "APP_PORT", "is not a port");
        let findings = [Finding { line: Some(7), ..found }];
        let text = render(Report { check: "env check", file: Some("d/a b%\u{e9}.env"), findings: &findings });
        let log: Value = serde_json::from_str(&text).unwrap();
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "d/a%20b%25%C3%A9.env");
        assert_eq!(place["region"]["startLine"], 7);
    }

    #[test]
    fn each_finding_is_a_result_with_its_rule() {
        let findings = [
            catalogue::ENV_PORT.found(Severity::Error, "APP_PORT", "`x` is not a port"),
            catalogue::ENV_PORT.found(Severity::Error, "SSH_PORT", "`y` is not a port"),
            catalogue::ENV_FINE.found(Severity::Ok, ".env", "3 variables"),
        ];
        let text = render(Report { check: "env check", file: Some(".env"), findings: &findings });
        let log: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&log["version"], log["runs"].as_array().unwrap().len()), (&json!("2.1.0"), 1));
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 2);
        let first = &run["results"][0];
        assert_eq!((&first["ruleId"], &first["level"]), (&json!("GG-ENV-012"), &json!("error")));
        assert_eq!(first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], ".env");
        assert_eq!(first["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], "APP_PORT");
        assert_eq!((&run["results"][2]["kind"], &run["results"][2]["level"]), (&json!("pass"), &json!("none")));
    }
}
