//! The door to the object's SQLite and the versions of its tables. Everything crosses as text or
//! NULL: a JavaScript number stands between this program and the database, and is no integer.

use super::text::Text;
use std::fmt;

const SCHEMA: &str = include_str!("../../schema/account.sql");

/// A value on its way in or out.
pub type Cell = Option<String>;

/// A database: Durable Object SQL in the shell, SQLite itself in tests. Never waits.
pub trait Sql {
    /// Runs one statement with arguments `?1`, `?2`…, and returns its rows. Every result column is
    /// TEXT or NULL.
    fn run(&self, statement: &str, arguments: &[Cell]) -> Result<Vec<Vec<Cell>>, SqlError>;

    /// Whether [`Sql::note_current`] was told. A database that does not remember it is looked at each time.
    fn is_current(&self) -> bool {
        false
    }

    /// Takes note that the tables are of this program's version: they stay so unless what was written since is
    /// rolled back, and then nothing may be remembered.
    fn note_current(&self) {}
}

/// What the database said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError(pub String);

/// Why a command could not be carried out. All that it wrote must be rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Sql(SqlError),
    /// The tables were made by a later version of this program.
    Newer {
        found: u64,
        known: u64,
    },
    /// A value that this program never writes, or a total that no longer adds up.
    Corrupt(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Sql(SqlError(message)) => write!(out, "the account's database failed: {message}"),
            Fault::Newer { found, known } => {
                write!(out, "the account's tables are of version {found}, this program knows {known}")
            }
            Fault::Corrupt(what) => write!(out, "the account's database holds no valid {what}"),
        }
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Fault {
        Fault::Sql(error)
    }
}

/// Has a place in a column: a text, or one that may be NULL.
pub(super) trait Column: Sized {
    const NAME: &'static str;
    fn cell(&self) -> Cell;
    fn read(cell: Cell) -> Option<Self>;
}

/// A row of a result.
pub(super) struct Row(std::vec::IntoIter<Cell>);

impl Row {
    /// The next column, from left to right.
    pub fn next<T: Column>(&mut self) -> Result<T, Fault> {
        self.0.next().and_then(T::read).ok_or(Fault::Corrupt(T::NAME))
    }

    pub fn skip(&mut self, columns: usize) {
        self.0.by_ref().take(columns).for_each(drop);
    }
}

/// A database whose tables are of the version this program knows.
#[derive(Clone, Copy)]
pub(super) struct Store<'s> {
    sql: &'s dyn Sql,
    /// Asked once by commands that would ask several times and change nothing of it.
    has: Option<Has>,
}

/// Whether an account has what many do without: then nothing needs to be looked for.
#[derive(Clone, Copy)]
pub(super) struct Has {
    pub budgets: bool,
    /// Keys of its own at providers.
    pub byok: bool,
    /// Alerts that are switched on.
    pub alerts: bool,
}

impl<'s> Store<'s> {
    /// Opens an account's database; `None` if it was never created. Brings older tables up to date.
    pub fn open(sql: &'s dyn Sql) -> Result<Option<Store<'s>>, Fault> {
        if sql.is_current() {
            return Ok(Some(Store { sql, has: None }));
        }
        match version(sql)? {
            None => Ok(None),
            found => Store::bring_up(sql, found).map(Some),
        }
    }

    /// Makes the tables of an account that [`Store::open`] did not find.
    pub fn create(sql: &'s dyn Sql) -> Result<Store<'s>, Fault> {
        Store::bring_up(sql, None)
    }

    fn bring_up(sql: &'s dyn Sql, found: Option<u64>) -> Result<Store<'s>, Fault> {
        migrate_from(sql, SCHEMA, found)?;
        sql.note_current();
        Ok(Store { sql, has: None })
    }

    pub fn knowing(self, has: Has) -> Store<'s> {
        Store { has: Some(has), ..self }
    }

    /// What is known of what the account has; `None` where that was not asked.
    pub fn has(&self) -> Option<Has> {
        self.has
    }

    pub fn rows(&self, statement: &str, arguments: &[Cell]) -> Result<Vec<Row>, Fault> {
        let rows = self.sql.run(statement, arguments)?;
        Ok(rows.into_iter().map(|cells| Row(cells.into_iter())).collect())
    }

    /// The first row, if there is one.
    pub fn row(&self, statement: &str, arguments: &[Cell]) -> Result<Option<Row>, Fault> {
        Ok(self.rows(statement, arguments)?.into_iter().next())
    }

    pub fn write(&self, statement: &str, arguments: &[Cell]) -> Result<(), Fault> {
        self.sql.run(statement, arguments)?;
        Ok(())
    }
}

/// Brings a database to the last version that `schema` has, from none or any before it. A database
/// of a later version is refused untouched. The form of `schema`: see `schema/account.sql`.
pub fn migrate(sql: &dyn Sql, schema: &str) -> Result<(), Fault> {
    migrate_from(sql, schema, version(sql)?)
}

fn migrate_from(sql: &dyn Sql, schema: &str, found: Option<u64>) -> Result<(), Fault> {
    let sections: Vec<&str> = schema.split("\n-- version ").skip(1).collect();
    let known = sections.len() as u64;
    match found {
        Some(found) if found > known => return Err(Fault::Newer { found, known }),
        Some(found) if found == known => return Ok(()),
        Some(_) | None => {}
    }
    for section in &sections[found.unwrap_or(0) as usize..] {
        for statement in statements(section) {
            sql.run(&statement, &[])?;
        }
    }
    sql.run("DELETE FROM schema_version", &[])?;
    sql.run("INSERT INTO schema_version (version) VALUES (CAST(?1 AS INTEGER))", &[known.cell()])?;
    Ok(())
}

/// The version of the tables; `None` where there are none. Writes nothing.
fn version(sql: &dyn Sql) -> Result<Option<u64>, Fault> {
    let tables =
        sql.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'", &[])?;
    if tables.is_empty() {
        return Ok(None);
    }
    let rows = sql.run("SELECT CAST(version AS TEXT) FROM schema_version", &[])?;
    match rows.into_iter().next() {
        Some(cells) => Row(cells.into_iter()).next().map(Some),
        None => Err(Fault::Corrupt("version")),
    }
}

/// The statements of a section, without comments. Its first line is the rest of the marker.
fn statements(section: &str) -> Vec<String> {
    let lines: Vec<&str> = section.lines().skip(1).filter(|line| !line.starts_with("--")).collect();
    let body = lines.join("\n") + "\n";
    body.split(";\n").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

impl<T: Text> Column for T {
    const NAME: &'static str = T::NAME;
    fn cell(&self) -> Cell {
        Some(self.write())
    }
    fn read(cell: Cell) -> Option<T> {
        T::read(&cell?)
    }
}

impl<T: Text> Column for Option<T> {
    const NAME: &'static str = T::NAME;
    fn cell(&self) -> Cell {
        self.as_ref().map(T::write)
    }
    fn read(cell: Cell) -> Option<Option<T>> {
        match cell {
            None => Some(None),
            Some(text) => T::read(&text).map(Some),
        }
    }
}
