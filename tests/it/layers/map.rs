//! Reads the map of the modules: the table in `src/lib.rs`, which says what each module may use.

/// One row of the table, or a part of it where a row names several modules.
pub struct Module {
    pub name: String,
    /// `None`: everything.
    may_use: Option<Vec<String>>,
}

pub struct Map(pub Vec<Module>);

impl Map {
    /// Reads the table from the source of `lib.rs`.
    pub fn read(lib: &str) -> Map {
        let mut map = Map(Vec::new());
        for row in lib.lines().filter_map(|line| line.strip_prefix("//! | [`")) {
            let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
            let [names, _, may_use] = cells.as_slice() else {
                panic!("a row of the map has three cells: {row}")
            };
            let may_use = map.entries(may_use);
            for name in names.split(", ") {
                map.0.push(Module { name: name.replace(['[', '`', ']'], ""), may_use: may_use.clone() });
            }
        }
        map
    }

    /// The entries of a cell: `nothing`, `everything`, or a list.
    fn entries(&self, cell: &str) -> Option<Vec<String>> {
        match cell {
            "everything" => return None,
            "nothing" => return Some(Vec::new()),
            _ => {}
        }
        let (mut named, mut above) = (Vec::new(), Vec::new());
        for entry in cell.split(", ") {
            match entry.strip_prefix('`').and_then(|entry| entry.strip_suffix('`')) {
                Some(entry) => named.push(entry.to_owned()),
                None if entry == "all above" => above = self.0.iter().map(|row| row.name.clone()).collect(),
                None => panic!("the map says `{entry}` under \"may use\": it must be a module in backticks"),
            }
        }
        // `wire::*` beside "all above" says that of `wire` it is no more than that.
        let is_narrowed =
            |module: &String| named.iter().any(|entry| entry.starts_with(&format!("{module}::")));
        above.retain(|module| !is_narrowed(module));
        Some(above.into_iter().chain(named).collect())
    }

    pub fn module(&self, name: &str) -> Option<&Module> {
        self.0.iter().find(|module| module.name == name)
    }
}

impl Module {
    /// Whether this module may use a path (without `crate`). `is_file` tells which paths are modules in the code.
    pub fn may_use(&self, used: &[String], is_file: impl Fn(&[String]) -> bool) -> bool {
        let Some(entries) = &self.may_use else { return true };
        entries.iter().any(|entry| match entry.split_once("::") {
            None => used[0] == *entry,
            Some(("*", item)) => used.iter().any(|segment| segment == item),
            Some((module, "*")) => used[0] == module && !is_file(&used[..used.len().min(2)]),
            Some((module, item)) => used[0] == module && used.get(1).is_some_and(|segment| segment == item),
        })
    }

    /// How a path is named in a report: by its module, and more where the map grants a part of that module.
    pub fn named(&self, used: &[String]) -> String {
        let part_granted = |entry: &String| entry.starts_with(&format!("{}::", used[0]));
        let is_part = self.may_use.iter().flatten().any(part_granted);
        used[..used.len().min(if is_part { 2 } else { 1 })].join("::")
    }
}

#[test]
fn rows_say_what_their_modules_may_use() {
    let map = Map::read(
        "//! | module | what it does | may use |\n\
         //! | [`a`] | text, with | nothing |\n\
         //! | [`b`], [`c`] | text | `a::Item`, `*::Config` |\n\
         //! | [`d`] | text | all above, `b::*` |\n\
         //! | [`e`] | text | everything |\n\
         pub mod a;",
    );
    let names: Vec<&str> = map.0.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let may = |module: &str, used: &str| {
        let used: Vec<String> = used.split("::").map(str::to_owned).collect();
        map.module(module).expect("a row").may_use(&used, |path| path == ["b", "file"])
    };
    assert!(!may("a", "b") && !may("b", "a") && !may("c", "a::Other") && !may("b", "e::Item"));
    assert!(may("b", "a::Item") && may("c", "a::Item") && may("c", "e::deep::Config"));
    assert!(may("d", "a::Other") && may("d", "c::x") && may("d", "b::Item") && !may("d", "b::file::Item"));
    assert!(may("e", "d::x") && !may("d", "e"));
}

#[test]
#[should_panic(expected = "it must be a module in backticks")]
fn an_entry_that_cannot_be_read_is_reported() {
    Map::read("//! | [`a`] | text | nothing |\n//! | [`b`] | text | most of `a` |");
}
