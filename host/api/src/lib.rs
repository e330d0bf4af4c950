//! The HTTP door: native API and problem details.
