//! What a policy does.
