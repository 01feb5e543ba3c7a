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
        Severity::Unknown => ("notApplicable", "none"),
        Severity::Warning => ("fail", "warning"),
        Severity::Error => ("fail", "error"),
    };
    let text = format!("{}: {}", finding.subject, finding.message);
    let mut result = json!({"ruleId": finding.id, "kind": kind, "level": level, "message": {"text": text}});
    if let (Some(file), Some(fields)) = (file, result.as_object_mut()) {
        let location = json!([{"physicalLocation": {"artifactLocation": {"uri": file}}}]);
        fields.insert("locations".into(), location);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((&run["results"][2]["kind"], &run["results"][2]["level"]), (&json!("pass"), &json!("none")));
    }
}
