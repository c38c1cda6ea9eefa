//! Whole-system tests and their harness, tidy tests.
