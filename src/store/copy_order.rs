//! In which order tables can be filled: those that others refer to come first. Pure.

use std::collections::BTreeSet;

use crate::copy::{CopyError, Table};

/// Puts tables behind those that they refer to; `edges` are table and referred table. Otherwise keeps their order.
/// Fails with [`CopyError::Tables`] for tables that refer to each other in a ring.
pub(crate) fn parents_first(mut tables: Vec<Table>, edges: &[(String, String)]) -> Result<Vec<Table>, CopyError> {
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    let mut filled = BTreeSet::new();
    while !tables.is_empty() {
        let is_ready = |table: &Table| {
            let mut parents = edges.iter().filter(|(name, _)| *name == table.name).map(|(_, parent)| parent);
            parents.all(|parent| *parent == table.name || filled.contains(parent))
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = tables.into_iter().partition(is_ready);
        if ready.is_empty() {
            let table = waiting.into_iter().next().map(|table| table.name).unwrap_or_default();
            return Err(CopyError::Tables { table });
        }
        filled.extend(ready.iter().map(|table| table.name.clone()));
        ordered.extend(ready);
        tables = waiting;
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(names: &str, edges: &[(&str, &str)]) -> Option<String> {
        let table = |name: &str| Table { name: name.into(), columns: Vec::new(), key: Vec::new() };
        let edges: Vec<_> = edges.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let ordered = parents_first(names.split(' ').map(table).collect(), &edges).ok()?;
        Some(ordered.into_iter().map(|table| table.name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_table_comes_behind_those_that_it_refers_to() {
        for (names, edges, expected) in [
            ("a b c", &[][..], Some("a b c")),
            ("a b c", &[("a", "b"), ("b", "c")], Some("c b a")),
            ("a b c", &[("a", "a"), ("b", "c")], Some("a c b")),
            ("a b", &[("a", "b"), ("b", "a")], None),
        ] {
            assert_eq!(ordered(names, edges).as_deref(), expected, "{names} {edges:?}");
        }
    }
}
