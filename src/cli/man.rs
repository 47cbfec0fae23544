//! `mapfold man`: prints the manual, one page with every command, as users look for it with `man mapfold`.
//!
//! The page is made of the same texts as `--help`, so both say the same. clap_mangen isn't used: it would make one page
//! per command, and join the lines of examples.

use clap::{Arg, Command, CommandFactory};
use roff::{Inline, Roff, bold, italic, roman};

use super::{Cli, help, to_stdout};

const EXAMPLES: &str = "\
Examples:
  mapfold man | man -l -
  mapfold man > ~/.local/share/man/man1/mapfold.1";

/// Print the manual page
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

pub fn run(_: &Args) -> anyhow::Result<()> {
    Ok(to_stdout(&page())?)
}

fn page() -> String {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut roff = Roff::new();
    let version = format!("mapfold {}", root.get_version().unwrap_or_default());
    roff.control("TH", ["MAPFOLD", "1", "\"\"", &version, "User Commands"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("mapfold - {}", plain(root.get_about())))]);

    roff.control("SH", ["SYNOPSIS"]);
    roff.control("nf", []);
    let commands = with_their_own(&root);
    for command in &commands {
        roff.text(synopsis(command));
    }
    roff.control("fi", []);

    roff.control("SH", ["DESCRIPTION"]);
    // The first paragraph is already in the section NAME.
    let about = plain(root.get_long_about());
    prose(&mut roff, about.split_once("\n\n").map_or("", |(_, rest)| rest), "PP");

    roff.control("SH", ["COMMANDS"]);
    for command in &commands {
        roff.control("SS", [name(command)]);
        roff.text(synopsis(command));
        roff.control("PP", []);
        prose(&mut roff, &format!("{}.", plain(command.get_about())), "PP");
        arguments(&mut roff, command);
        let after = plain(command.get_after_long_help().or(command.get_after_help()));
        prose(&mut roff, &after.replace(help::EXIT_CODES, ""), "PP");
    }
    prose(&mut roff, &plain(root.get_after_long_help().or(root.get_after_help())), "SH");
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("sort"), roman("(1), "), bold("uniq"), roman("(1), "), bold("jq"), roman("(1)")]);
    roff.render()
}

/// Returns the commands in the order of the help, each followed by its subcommands.
fn with_their_own(root: &Command) -> Vec<&Command> {
    let below = |command| std::iter::once(command).chain(Command::get_subcommands(command));
    root.get_subcommands().flat_map(below).collect()
}

fn name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

fn plain(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn value_names(arg: &Arg) -> String {
    arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
}

fn synopsis(command: &Command) -> Vec<Inline> {
    let mut line = vec![bold(name(command))];
    for arg in command.get_positionals() {
        let many = if arg.get_num_args().is_some_and(|range| range.max_values() > 1) { "..." } else { "" };
        let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
        line.extend([roman(format!(" {open}")), italic(value_names(arg)), roman(format!("{close}{many}"))]);
    }
    if command.get_opts().next().is_some() {
        line.push(roman(" [flags]"));
    }
    line
}

/// Writes arguments under their headings, as the help does.
fn arguments(roff: &mut Roff, command: &Command) {
    let shown = || command.get_arguments().filter(|arg| arg.get_id() != "help" && !arg.is_hide_set());
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in shown() {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        if let Some(heading) = heading {
            roff.control("PP", []);
            roff.text([bold(heading)]);
        }
        let mut args: Vec<_> = shown().filter(|arg| arg.get_help_heading() == heading).collect();
        args.sort_by_key(|arg| (!arg.is_positional(), arg.get_display_order()));
        for arg in args {
            roff.control("TP", []);
            roff.text(term(arg));
            prose(roff, &plain(arg.get_long_help().or(arg.get_help())), "IP");
        }
    }
}

fn term(arg: &Arg) -> Vec<Inline> {
    if arg.is_positional() {
        return vec![italic(value_names(arg))];
    }
    let short = arg.get_short().map(|c| format!("-{c}"));
    let names: Vec<_> = short.into_iter().chain(arg.get_long().map(|long| format!("--{long}"))).collect();
    let mut term = vec![bold(names.join(", "))];
    if arg.get_action().takes_values() {
        term.extend([roman(" "), italic(value_names(arg))]);
    }
    term
}

/// Writes paragraphs. Lines that are indented stay as they are, and a line that ends with a colon before such lines is
/// their heading. `between` is the macro between paragraphs, or `SH`, the macro of headings.
fn prose(roff: &mut Roff, text: &str, between: &str) {
    let (heading, paragraph) = if between == "SH" { (Some(between), "PP") } else { (None, between) };
    let mut literal = false;
    let mut lines = text.lines().peekable();
    let mut begun = false;
    while let Some(line) = lines.next() {
        let indented = line.starts_with("  ");
        if indented != literal {
            match indented {
                true => roff.control("nf", []),
                false => roff.control("fi", []),
            };
            literal = indented;
        }
        match line {
            "" if begun && lines.peek().is_some() => drop(roff.control(paragraph, [])),
            "" => {}
            _ if !indented && line.ends_with(':') && lines.peek().is_some_and(|next| next.starts_with("  ")) => {
                let line = line.trim_end_matches(':');
                match heading {
                    Some(heading) => drop(roff.control(heading, [line.to_uppercase().as_str()])),
                    None => drop(roff.control(paragraph, []).text([bold(line)])),
                }
            }
            _ => drop(roff.text([roman(line.strip_prefix("  ").unwrap_or(line))])),
        }
        begun = true;
    }
    if literal {
        roff.control("fi", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_flag_is_there() {
        let page = page();
        let root = Cli::command();
        for command in with_their_own(&root) {
            assert!(page.contains(command.get_name()), "{}", command.get_name());
            for arg in command.get_opts().filter(|arg| arg.get_id() != "help" && !arg.is_hide_set()) {
                let flag = format!("--{}", arg.get_long().unwrap()).replace('-', "\\-");
                assert!(page.contains(&flag), "{flag}");
            }
        }
    }

    #[test]
    fn indented_lines_stay_as_they_are() {
        let mut roff = Roff::new();
        prose(&mut roff, "One.\nTwo.\n\nExamples:\n  a  b\n  .c", "PP");
        let text = roff.to_roff();
        assert_eq!(text, "One.\nTwo.\n.PP\n.PP\n\\fBExamples\\fR\n.nf\na  b\n\\&.c\n.fi\n", "{text}");
    }
}
