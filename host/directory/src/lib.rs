//! The users of every tenant, and the tables of jobs, tokens and audit.
