use serde_json::json;

use super::*;

fn spec(text: &str) -> Result<Spec> {
    Document::parse("spec.json", text.as_bytes())?.finish()
}

fn set(text: &str, assignments: &[&str]) -> Result<Vec<Input>> {
    let mut document = Document::parse("spec.json", text.as_bytes())?;
    assignments.iter().try_for_each(|assignment| document.set(assignment))?;
    Ok(document.finish()?.input)
}

const BOTH: &str = r#"{"input": ["a", {"path": "b*", "timeout": "2s"},
    {"command": ["ssh", "web1", "cat", "x y"], "name": "web1", "timeout": "1500ms", "retry": true}, {"command": ["ls"]}]}"#;

#[test]
fn objects_say_more_than_names() {
    let found = spec(BOTH).unwrap();
    let command = |words: &[&str], name: Option<&str>, timeout: Option<&str>, retry| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let timeout = timeout.map(|text| text.parse().unwrap());
        Input::Command(Command { words, name: name.map(str::to_owned), timeout, retry })
    };
    assert_eq!(
        found.input,
        [
            Input::Name("a".into()),
            Input::Path { path: "b*".into(), timeout: Some("2s".parse().unwrap()) },
            command(&["ssh", "web1", "cat", "x y"], Some("web1"), Some("1.5s"), true),
            command(&["ls"], None, None, false),
        ]
    );
    // As they are in the report.
    let written = json!(["a", {"path": "b*", "timeout": "2s"},
        {"command": ["ssh", "web1", "cat", "x y"], "name": "web1", "timeout": "1.5s", "retry": true}, {"command": ["ls"]}]);
    assert_eq!(serde_json::to_value(&found).unwrap()["input"], written);
    // A single input is a list of one.
    let one = spec(r#"{"input": {"command": ["ls"]}}"#).unwrap();
    assert_eq!(one.input, [command(&["ls"], None, None, false)]);
}

#[test]
fn a_command_is_called_by_its_name_or_its_words() {
    let title = |text: &str| match &spec(text).unwrap().input[0] {
        Input::Command(command) => command.title().into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(title(r#"{"input": {"command": ["ls"], "name": "here"}}"#), "here");
    assert_eq!(
        title(r#"{"input": {"command": ["ssh", "web1", "cat", "/var/log/app.log"]}}"#),
        "ssh web1 cat /var/log/app.log"
    );
    assert_eq!(title(r#"{"input": {"command": ["sh", "-c", "a | b"]}}"#), "sh -c 'a | b'");
}

#[test]
fn set_reaches_into_inputs() {
    let two = "2s".parse().ok();
    let path = |path: &str, timeout| Input::Path { path: path.into(), timeout };
    // A plain name becomes the object that it is short for.
    assert_eq!(set(r#"{"input": ["a", "b"]}"#, &["input.1.timeout=2s"]).unwrap()[1], path("b", two));
    assert_eq!(set(r#"{"input": "a"}"#, &["input.0.timeout=2s"]).unwrap(), [path("a", two)]);
    assert_eq!(set(r#"{"input": {"path": "a"}}"#, &["input.0.timeout=2s"]).unwrap(), [path("a", two)]);
    assert_eq!(set("{}", &[r#"input={"path": "a"}"#]).unwrap(), [path("a", None)]);
    assert_eq!(set("{}", &[r#"input.0={"path": "a"}"#, "input.1=b"]).unwrap()[1], Input::Name("b".into()));
    let Input::Command(command) = &set(BOTH, &["input.2.timeout=1h", "input.2.command.1=web2"]).unwrap()[2] else {
        panic!("a command")
    };
    assert_eq!((command.timeout, command.words[1].as_str()), ("1h".parse().ok(), "web2"));
    let made = set("{}", &[r#"input.0.command=["ls"]"#, "input.0.name=n", "input.0.retry=true"]).unwrap();
    assert!(matches!(&made[0], Input::Command(Command { name: Some(name), retry: true, .. }) if name == "n"));
}

#[test]
fn params_stand_in_inputs() {
    let text = r#"{"params": {"host": {"default": "web1"}, "time": {"default": "2s"}},
        "input": {"command": ["ssh", {"param": "host"}], "timeout": {"param": "time"}}}"#;
    let found = spec(text).unwrap().input;
    assert_eq!(serde_json::to_value(&found).unwrap(), json!([{"command": ["ssh", "web1"], "timeout": "2s"}]));
}

#[test]
fn inputs_that_are_wrong() {
    let hint = "a span of time is a number with a unit, ms, s, m or h: 500ms, 1.5s, 2m";
    let words = r#"give a list of its words: ["cat", "a.log"]"#;
    for (input, message, advice) in [
        (r#"[{"path": "a", "timout": "2s"}]"#, "input.0: unknown key \"timout\"", "did you mean \"timeout\"?"),
        (r#"[{"comand": ["a"]}]"#, "input.0: unknown key \"comand\"", "did you mean \"command\"?"),
        (
            r#"[{"path": "a", "retry": true}]"#,
            "input.0.retry: is only for commands",
            "files are read again without it, and a pipe can't be read again",
        ),
        (r#"[{"command": ["a"], "rety": true}]"#, "input.0: unknown key \"rety\"", "did you mean \"retry\"?"),
        (r#"[{"command": ["a"], "retry": 3}]"#, "input.0.retry: must be true or false, is 3", ""),
        (r#"[{"path": "a", "rety": true}]"#, "input.0: unknown key \"rety\"", "known keys: path, timeout"),
        (
            r#"[{"path": "a", "command": ["b"]}]"#,
            "input.0: both \"path\" and \"command\"",
            "an input may have only one of them; put the other into an object of its own",
        ),
        (
            r#"[{"timeout": "2s"}]"#,
            "input.0: missing a key that says what it does: path, command",
            r#"an example: {"path": "a.log", "timeout": "2s"}"#,
        ),
        (r#"[{"path": "a", "timeout": 2}]"#, "input.0.timeout: must be a span of time such as \"500ms\", is 2", ""),
        (r#"[{"path": "a", "timeout": "2"}]"#, "input.0.timeout: \"2\" is not a span of time", hint),
        (r#"[{"path": "a", "timeout": "0s"}]"#, "input.0.timeout: \"0s\" is zero, and must be more", hint),
        (r#"[{"path": ""}]"#, "input.0.path: must not be empty", ""),
        (r#"[{"command": []}]"#, "input.0.command: must not be empty", words),
        (r#"[{"command": "ls -l"}]"#, "input.0.command: must be a list of strings, is \"ls -l\"", words),
        (r#"[{"command": [""]}]"#, "input.0.command.0: must not be empty", ""),
        (r#"[{"command": ["a", 1]}]"#, "input.0.command.1: must be a string, is 1", ""),
        (r#"[{"command": ["a", "\u0000"]}]"#, "input.0.command.1: has a NUL byte, which no argument can", ""),
        (r#"[{"command": ["a"], "name": ""}]"#, "input.0.name: must not be empty", ""),
        (r#"[{"command": ["a"], "read": {}}]"#, "input.0.read: not supported yet", ""),
        ("[1]", "input.0: must be a string or an object, is 1", ""),
        ("1", "input: must be a list, is 1", ""),
    ] {
        let error = spec(&format!(r#"{{"input": {input}}}"#)).unwrap_err();
        assert_eq!((error.to_string(), error.exit_code()), (format!("spec.json: {message}"), 2));
        assert_eq!(error.hint().unwrap_or_default(), advice, "{input}");
    }
    let error = set(BOTH, &["input.2.command=ls"]).unwrap_err();
    assert_eq!(error.to_string(), "--set: input.2.command: must be a list, is \"ls\"");
    assert_eq!(error.hint().unwrap(), r#"--set input.2.command='["cat", "a.log"]'"#);
    let error = set(BOTH, &["input.1.retry=true"]).unwrap_err();
    assert_eq!(error.to_string(), "--set: input.1.retry: is only for commands");
    let error = set(BOTH, &["input.1.timout=2s"]).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean input.1.timeout?");
}
