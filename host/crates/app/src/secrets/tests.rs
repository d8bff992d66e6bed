//! Values are kept, given to the calls that were granted them, and found nowhere else.

use std::path::PathBuf;

use authority::{Ceiling, Grant, Grants, Request, Scope, Signer};
use base::{Effect, PackId, Timestamp};

use super::*;
use crate::app::Settings;
use crate::keys::KeyRole;

const VALUE: &str = "correct-horse-battery-staple";

fn app(folder: &std::path::Path, passphrase: Option<&str>, environment: &[(&str, &str)]) -> App {
    let app = open(folder, environment);
    drop(app.init(passphrase).unwrap());
    app
}

/// The same home in another process.
fn open(folder: &std::path::Path, environment: &[(&str, &str)]) -> App {
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()));
    App::new(Settings {
        home: Home::at(folder.join("home")),
        kill_at: None,
        guest_cargo_args: Vec::new(),
        environment: environment.iter().map(variable).collect(),
    })
}

fn set(app: &App, name: &str, passphrase: Option<&str>) -> Result<SecretView, Error> {
    app.secret_set(name, Zeroizing::new(VALUE.to_owned()), passphrase)
}

/// An operation that asks for these secrets and was granted them.
fn authority(names: &[&str], effect: Effect) -> Authority {
    let pack: PackId = "acme:notes".parse().unwrap();
    let signer = Signer::of_fingerprint(&"signer");
    let texts: Vec<_> = names.iter().map(|name| format!("{name}@b.c:header:x")).collect();
    let mut request = Request::new();
    let scopes = texts.iter().map(|text| Scope::parse(Capability::Secrets, text).unwrap());
    request.insert(Capability::Secrets, scopes).unwrap();
    let mut grants = Grants::new();
    for text in &texts {
        grants.add(Grant::parse(&pack, &format!("secrets={text}")).unwrap().to_signer(signer.clone()));
    }
    Authority::of(&request, &grants.in_force(&pack, &signer, Timestamp(0)), &Ceiling::none(), effect)
}

/// What a call is given, by name.
fn values(app: &App, authority: &Authority) -> Result<Vec<(String, String)>, Code> {
    let values = app.secrets.values(authority).map_err(|error| match error {
        Error::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    })?;
    Ok(values.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect())
}

/// Every file below the home that holds the text.
fn holding(app: &App, text: &str) -> Vec<PathBuf> {
    let mut folders = vec![app.home.path().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_value_is_kept_encrypted_and_given_to_whom_it_was_granted() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path(), None, &[]);
    let tok = authority(&["tok", "other"], Effect::Read);
    assert_eq!(values(&app, &tok), Ok(vec![]), "what is not set is not there");
    assert!(set(&app, "tok", None).unwrap().is_set);
    assert!(set(&app, "mine", None).unwrap().is_set);
    assert!(holding(&app, VALUE).is_empty());
    for app in [&app, &open(folder.path(), &[])] {
        assert_eq!(values(app, &tok), Ok(vec![("tok".to_owned(), VALUE.to_owned())]));
        assert_eq!(values(app, &authority(&["tok"], Effect::Pure)), Ok(vec![]), "its effect permits none");
    }
    for path in app.home.secrets() {
        assert!(crate::home::access(&path).map_or(true, |access| access.mode == 0o600), "{path:?}");
    }
    assert!(app.home.secrets().iter().any(|path| path.ends_with("secrets/tok.age")));
    let names: Vec<_> = app.secret_list().unwrap().into_iter().map(|view| view.name).collect();
    assert_eq!(names, ["mine", "tok"]);
    drop(app.secret_delete("tok").unwrap());
    assert_eq!(values(&app, &tok), Ok(vec![]));
    let gone = app.secret_delete("tok").unwrap_err();
    assert!(matches!(gone, Error::Usage { .. }));
}

#[test]
fn the_approvers_passphrase_protects_the_values() {
    let folder = tempfile::tempdir().unwrap();
    let first = app(folder.path(), Some("open sesame"), &[]);
    assert!(first.secret_key_wants_passphrase().unwrap());
    for wrong in [None, Some("wrong")] {
        assert!(set(&first, "tok", wrong).is_err());
    }
    assert!(set(&first, "tok", Some("open sesame")).unwrap().is_set);
    // To set another nothing has to be opened.
    assert!(!first.secret_key_wants_passphrase().unwrap());
    assert!(set(&first, "more", None).unwrap().is_set);
    assert!(holding(&first, "AGE-SECRET-KEY").is_empty());

    let tok = authority(&["tok"], Effect::Read);
    let later = open(folder.path(), &[]);
    assert_eq!(values(&later, &tok), Err(Code::SecretLocked));
    assert!(later.unlock_secrets("wrong").is_err());
    assert_eq!(values(&later, &tok), Err(Code::SecretLocked));
    later.unlock_secrets("open sesame").unwrap();
    assert_eq!(values(&later, &tok), Ok(vec![("tok".to_owned(), VALUE.to_owned())]));
}

#[test]
fn a_secret_may_be_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path(), None, &[("TOK", VALUE), ("ODD", "a\nb"), ("UNNAMED", "x")]);
    let config = "[secrets]\ntok = \"env:TOK\"\nodd = \"env:ODD\"\nabsent = \"env:ABSENT\"\n";
    app.home.write(config::FILE, config.as_bytes()).unwrap();
    let names: Vec<_> = secret_variables(&app.home).into_iter().collect();
    assert_eq!(names, ["ABSENT", "ODD", "TOK"]);
    assert_eq!(values(&app, &authority(&["absent", "tok", "unnamed"], Effect::Read)).unwrap().len(), 1);
    assert_eq!(values(&app, &authority(&["odd"], Effect::Read)), Err(Code::SecretDamaged));
    assert!(matches!(set(&app, "tok", None), Err(Error::Usage { .. })));
    let set: Vec<_> = app.secret_list().unwrap().into_iter().map(|view| view.is_set).collect();
    assert_eq!(set, [false, true, true]);
    for wrong in ["tok = \"TOK\"", "tok = \"env:\"", "tok = \"env:A-B\"", "Tok = \"env:TOK\"", "tok = 1"] {
        app.home.write(config::FILE, format!("[secrets]\n{wrong}\n").as_bytes()).unwrap();
        let error = app.secret_list().unwrap_err();
        assert!(matches!(error, Error::Refused(refusal) if refusal.code == Code::ConfigMalformed), "{wrong}");
    }
}

#[test]
fn what_was_not_written_here_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path(), None, &[]);
    assert!(set(&app, "tok", None).unwrap().is_set);
    let tok = authority(&["tok"], Effect::Read);
    let path = file(&"tok".parse().unwrap());
    let genuine = crate::home::read_file(&app.home.file(&path), FILE_BYTES_MAX).unwrap();
    let mut changed = genuine.clone();
    *changed.last_mut().unwrap() ^= 1;
    let stranger = age::encrypt(&Identity::generate().to_public(), VALUE.as_bytes()).unwrap();
    for bytes in [&changed[..], &stranger, b"", b"nonsense", VALUE.as_bytes(), &genuine[..genuine.len() / 2]]
    {
        app.home.write(&path, bytes).unwrap();
        assert_eq!(values(&app, &tok), Err(Code::SecretDamaged));
    }
    app.home.write(&path, &genuine).unwrap();
    assert_eq!(values(&app, &tok).unwrap().len(), 1);
    for (name, text) in [(RECIPIENT, "nonsense"), (RECIPIENT, "a b c"), (IDENTITY, "nonsense")] {
        let good = crate::home::read_file(&app.home.file(name), FILE_BYTES_MAX).unwrap();
        app.home.write(name, text.as_bytes()).unwrap();
        assert_eq!(values(&open(folder.path(), &[]), &tok), Err(Code::SecretDamaged), "{name} {text}");
        app.home.write(name, &good).unwrap();
    }
    // The key is no signing key, and is not listed as one.
    let keys = app.key_list().unwrap();
    assert_eq!(keys.len(), 1);
    drop(app.key_new("secrets", KeyRole::Pack, None));
    assert_eq!(values(&open(folder.path(), &[]), &tok).unwrap().len(), 1);
}
