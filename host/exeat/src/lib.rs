//! The exeat binary: serve, export, users, token, plugin, audit.
