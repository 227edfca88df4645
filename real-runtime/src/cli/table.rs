//! Columns as Consul prints them: padded with blanks, two between columns.

/// Lines with their cells lined up. The last cell of a line is not padded; every line ends with a
/// line break.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let width = widths.get(column).copied().unwrap_or(0);
                text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
        }
        text.push('\n');
    }
    text
}

/// Names and values, lined up; a name is padded whether or not a value follows.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        text.push_str(name);
        text.extend(std::iter::repeat_n(' ', width + 6 - name.chars().count()));
        text.push_str(value);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = [row(&["Node", "ID", "DC"]), row(&["a", "27018e15", "dc1"])];
        assert_eq!(aligned(&rows), "Node  ID        DC\na     27018e15  dc1\n");
    }

    #[test]
    fn names_are_padded_to_the_end() {
        let rows = [("consul", String::new()), ("web", "v1,v2".to_owned())];
        assert_eq!(pairs(&rows), "consul      \nweb         v1,v2\n");
    }
}
