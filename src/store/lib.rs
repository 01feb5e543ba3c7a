//! The forge's tables: queries and migrations
