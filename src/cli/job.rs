//! The command-line arguments that all commands that run jobs share (JOB, INPUTs, and flags that change the spec), and
//! how they become a [`Spec`].

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::params::ParamFlags;
use super::settings::{Setting, Settings};
use super::{closed, help};
use crate::error::{Error, Result, nearest, reason, shown};
use crate::run::Control;
use crate::spec::{Command, Document, Input, OnTimeout, Param, Spec, builtin};

/// Bytes of the longest spec. A spec is written by hand, so a longer file is something else.
const LONGEST: u64 = 16 << 20;

#[derive(clap::Args)]
pub struct JobArgs {
    /// Built-in job, path of a spec, or - for stdin
    ///
    /// `mapfold jobs` lists the built-in jobs, and `mapfold jobs show NAME` prints the spec of one, from which you can start
    /// your own. A JOB that has a / in it or ends with .json is the path of a spec. With - the spec is read from standard
    /// input.
    #[arg(value_name = "JOB", help_heading = help::INPUT_AND_JOB, display_order = 0)]
    job: OsString,

    /// A value for one of the job's params; repeatable
    ///
    /// `mapfold jobs` lists the params of each built-in job. An example: --param n=3. A param without a default must be
    /// given. After the JOB each param is also a flag, unless another flag has its name: --n 3. `mapfold run JOB --help`
    /// lists these flags.
    #[arg(long, value_name = "NAME=VALUE", help_heading = help::INPUT_AND_JOB, display_order = 6)]
    param: Vec<String>,

    #[command(flatten)]
    params: ParamFlags,

    #[command(flatten)]
    pub changes: Changes,
}

/// INPUTs, and flags that change a spec, wherever it comes from.
#[derive(clap::Args)]
pub struct Changes {
    /// Files, directories, globs, or - for stdin
    ///
    /// A directory means all files in it and in its subdirectories, sorted by path, without names that start with . or _
    /// and without links to directories. A glob (*, ?, [ab], ** for any directories) means the paths that it matches,
    /// sorted, unless a file of exactly this name exists. Inputs are read in the order given, an input that is named
    /// twice is read twice, and names are relative to the working directory. Without an INPUT here or in the spec,
    /// standard input is read, unless it is a terminal.
    ///
    /// A record never spans two files. A last line without a newline is a record too. \r\n ends a line as \n does.
    #[arg(value_name = "INPUT", help_heading = help::INPUT_AND_JOB, display_order = 1)]
    inputs: Vec<OsString>,

    /// Read the output of a command; repeatable
    ///
    /// The command is split into words as a shell would, but is run without a shell: --from-command 'ssh web1 cat
    /// /var/log/app.log'. To use a shell: --from-command "sh -c 'cat *.log | sort'". The output of commands is read
    /// after all INPUTs. A command that fails ends the job, with the command's last line on standard error in the message. No
    /// command is left running. In a spec a command may have a name and a timeout.
    #[arg(long, value_name = "CMD", help_heading = help::INPUT_AND_JOB, display_order = 7)]
    from_command: Vec<String>,

    /// Write the same rows in any order, which is faster
    ///
    /// The rows are not sorted, neither as sort says nor by their columns.
    #[arg(long, help_heading = help::OUTPUT, display_order = 102)]
    pub unordered: bool,

    /// Override a field of the spec; repeatable
    ///
    /// The parts of PATH are separated by dots, and numbers index lists: --set map.0.on=whitespace. VALUE is taken as text
    /// if the field holds text, otherwise as JSON: --set 'output.columns=["word"]'. The value null removes the field:
    /// --set output.path=null. Fields are set in the order given; a flag that stands for a field, such as --format for
    /// output.format, is applied after all --set.
    #[arg(long, value_name = "PATH=VALUE", help_heading = help::INPUT_AND_JOB, display_order = 5)]
    set: Vec<String>,

    #[command(flatten)]
    pub settings: Settings,

    /// For temporary files  [default: $TMPDIR, /var/tmp]
    ///
    /// The temporary files (runs) of map tasks take about as many bytes as are shuffled, and are removed at the end. If
    /// several directories are given, each with a --spill-dir of its own, the runs are spread over them; if one is full,
    /// the others take what it can't.
    #[arg(long, value_name = "DIR", help_heading = help::SETTINGS, display_order = 100)]
    spill_dir: Vec<PathBuf>,
}

/// A job as the command line asks for it.
pub struct AskedJob {
    pub spec: Spec,
    /// The name of the spec in messages.
    pub origin: String,
    pub from_stdin: bool,
    /// The file that holds the spec, if one does.
    pub file: Option<PathBuf>,
}

impl AskedJob {
    /// Returns where the result goes if a flag says so. The spec then has no path of its own, so the spec in the report
    /// can be run again.
    pub fn output(&mut self, flag: Option<&OsString>) -> Option<PathBuf> {
        if flag.is_some() {
            self.spec.output.path = None;
        }
        flag.map(PathBuf::from)
    }

    /// Starts the time that the job has, if it has a timeout.
    pub fn limit(&self, control: &Control) {
        let Some(after) = self.spec.deadline.timeout else { return };
        match self.spec.deadline.on_timeout.unwrap_or_default() {
            OnTimeout::Fail => control.limit(after),
            OnTimeout::Partial => control.limit_of_answer(after),
        }
    }
}

impl JobArgs {
    /// Returns the spec to be run.
    pub fn load(&self) -> Result<AskedJob> {
        let mut document = document(&self.job)?;
        for assignment in &self.param {
            document.param(assignment)?;
        }
        self.params.apply(&mut document);
        let file = is_path(&self.job).then(|| PathBuf::from(&self.job));
        Ok(AskedJob { from_stdin: self.job == "-", file, ..self.changes.apply(document)? })
    }
}

impl Changes {
    /// Returns the job that comes of a spec after all changes: each `--set` in order, then the flags that stand for a
    /// field of the spec.
    pub fn apply(&self, mut document: Document) -> Result<AskedJob> {
        let origin = document.origin.clone();
        for assignment in &self.set {
            document.set(assignment)?;
        }
        self.settings.apply(&mut document)?;
        let mut spec = document.finish()?;
        // Names of files need not be UTF-8, so they don't pass through JSON.
        if !self.inputs.is_empty() || !self.from_command.is_empty() {
            let names = self.inputs.iter().map(|name| Ok(Input::Name(name.into())));
            spec.input = names.chain(self.from_command.iter().map(|text| command(text))).collect::<Result<_>>()?;
        }
        if !self.spill_dir.is_empty() {
            spec.run.spill_dir.clone_from(&self.spill_dir);
        }
        Ok(AskedJob { spec, origin, from_stdin: false, file: None })
    }

    /// Returns the flag that already gives that setting on the command line, if there is one.
    pub fn gives(&self, setting: &Setting) -> Option<String> {
        if self.settings.has(setting) {
            return Some(format!("--{}", setting.flag));
        }
        let set = |assignment: &String| assignment.split('=').next() == Some(setting.path);
        self.set.iter().any(set).then(|| format!("--set {}", setting.path))
    }
}

/// Parses a command as it is typed in a shell.
fn command(text: &str) -> Result<Input> {
    let flag = format!("--from-command {text:?}");
    let words = shlex::split(text).ok_or_else(|| Error::usage(format!("{flag}: a quote is not closed")))?;
    if let Some(operator) = shell_operator(text) {
        let hint = "a command is run without a shell; to use a shell: sh -c '…'";
        return Err(Error::usage_hint(
            format!("{flag}: {operator} needs a shell, or quotes if it is an argument"),
            hint,
        ));
    }
    match words.first() {
        None => Err(Error::usage("--from-command: is empty")),
        Some(program) if program.is_empty() => Err(Error::usage(format!("{flag}: its first word is empty"))),
        Some(_) => Ok(Input::Command(Command { words, name: None, timeout: None, retry: false })),
    }
}

/// Returns the first word that is an operator of the shell and isn't quoted.
fn shell_operator(text: &str) -> Option<&'static str> {
    const OPERATORS: [&str; 11] = ["|", "||", "|&", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1"];
    let (mut quote, mut is_escaped, mut word) = (None, false, String::new());
    for c in text.chars().chain([' ']) {
        match (quote, c) {
            _ if is_escaped => is_escaped = false,
            (None | Some('"'), '\\') => is_escaped = true,
            (Some(open), _) => quote = Some(open).filter(|_| c != open),
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ' | '\t' | '\n') => {
                if let Some(found) = OPERATORS.into_iter().find(|operator| *operator == word) {
                    return Some(found);
                }
                word.clear();
                continue;
            }
            (None, _) => {}
        }
        word.push(c);
    }
    None
}

/// Returns the params of a JOB. Empty if reading the spec would use it up, or if its path is not a regular file.
pub fn params(job: &OsStr) -> Result<Vec<Param>> {
    let can_be_read_again = || fs::metadata(job).map_or(true, |metadata| metadata.is_file());
    if job == "-" || (is_path(job) && !can_be_read_again()) {
        return Ok(Vec::new());
    }
    document(job)?.params()
}

fn document(job: &OsStr) -> Result<Document> {
    if job == "-" {
        if closed::stdin() {
            return Err(Error::usage("stdin: is closed"));
        }
        let text = read("stdin", io::stdin().lock())?;
        return Document::parse("stdin", &text);
    }
    if is_path(job) { from_file(Path::new(job)) } else { from_builtin(job) }
}

/// Whether JOB is a path and not a name.
fn is_path(job: &OsStr) -> bool {
    let name = job.as_bytes();
    name.contains(&b'/') || name.ends_with(b".json")
}

fn from_file(path: &Path) -> Result<Document> {
    let name = shown(path);
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let is_spec = path.extension().is_some_and(|ending| ending == "json");
    read(&name, file).and_then(|text| Document::parse(name.clone(), &text)).map_err(|error| match error {
        Error::Usage { message, .. } if !is_spec => {
            Error::usage_hint(message, format!("the JOB comes first, then each INPUT: mapfold run wordcount {name}"))
        }
        error => error,
    })
}

fn read(name: &str, source: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(LONGEST + 1).read_to_end(&mut text).map_err(|e| Error::usage(format!("{name}: {}", reason(&e))))?;
    if text.len() as u64 > LONGEST {
        return Err(Error::usage_hint(
            format!("{name}: larger than {} MiB, so it can't be a spec", LONGEST >> 20),
            "the JOB comes first, then each INPUT",
        ));
    }
    Ok(text)
}

fn unreadable(path: &Path, e: &io::Error) -> Error {
    let message = format!("{}: {}", shown(path), reason(e));
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    match nearest(stem, builtin::ALL.iter().map(|job| job.name))
        .or_else(|| builtin::find(stem).ok().map(|job| job.name))
    {
        Some(right) if e.kind() == io::ErrorKind::NotFound => {
            Error::usage_hint(message, format!("did you mean the built-in job {right}?"))
        }
        _ => Error::usage(message),
    }
}

fn from_builtin(job: &OsStr) -> Result<Document> {
    let name = job.to_string_lossy();
    match builtin::find(&name) {
        Ok(builtin) => builtin.document(),
        Err(Error::Usage { message, .. }) if Path::new(job).is_file() => Err(Error::usage_hint(
            message,
            format!("if it is a spec file, write ./{name}; an INPUT comes after the JOB"),
        )),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_a_shell_does() {
        let words = |text: &str| match command(text) {
            Ok(Input::Command(Command { words, .. })) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(words("ssh web1  cat /var/log/app.log"), ["ssh", "web1", "cat", "/var/log/app.log"]);
        assert_eq!(words(r#"sh -c 'a | b "c"' "x y" "" \$"#), ["sh", "-c", r#"a | b "c""#, "x y", "", "$"]);
        let refused = |text: &str| command(text).unwrap_err().to_string();
        assert_eq!(refused("sh -c 'a"), "--from-command \"sh -c 'a\": a quote is not closed");
        assert_eq!(refused(" "), "--from-command: is empty");
        assert_eq!(refused("'' a"), "--from-command \"'' a\": its first word is empty");
    }

    #[test]
    fn names_and_paths() {
        for (job, path) in [("wordcount", false), ("my.json", true), ("./x", true), ("json", false), (".json", true)] {
            assert_eq!(is_path(OsStr::new(job)), path, "{job}");
        }
    }
}
