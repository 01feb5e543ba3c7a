//! Install and first-run steps of a site
