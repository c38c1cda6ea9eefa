//! Each thing that must hold, broken once in books that are otherwise right.
