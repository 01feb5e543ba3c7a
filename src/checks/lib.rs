//! Checks of host, network, settings and certificates; each gives findings
