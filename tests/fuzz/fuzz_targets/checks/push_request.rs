//! What must hold of every push request: reading it ends, and what it names has been parsed. Run by the fuzzer, and over
//! the committed corpus by the ordinary tests. Never touches a repository.

use git::receive::Request;

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut input = bytes;
    let Ok(mut request) = runtime.block_on(Request::read(&mut input)) else { return };
    let updates = request.updates();
    for update in &updates {
        assert!(update.name.as_str().starts_with("refs/"), "{update:?}");
        assert!(update.old.is_some() || update.new.is_some(), "{update:?}");
    }
    if request.is_atomic() && !updates.is_empty() {
        let first = updates[0].name.clone();
        request.refuse(&first, "no");
        assert!(request.updates().is_empty(), "an atomic push fell apart");
    }
    request.refuse_all("no\r\n\x1b[31m");
    assert!(request.updates().is_empty());
}
