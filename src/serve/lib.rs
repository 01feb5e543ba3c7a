//! The forge at the door: pages, Git over HTTP and SSH, health and metrics
