//! Everything that touches git objects or starts git
