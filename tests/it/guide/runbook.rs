//! The runbook against the codes of issues.
