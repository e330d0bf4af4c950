//! Scenarios and end-to-end tests of the whole house.
