//! JavaScript from strangers: a fresh engine for each text, with limits.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::{Context, Ctx, Error, Function, Runtime, Value};

/// The stack that a thread needs for an evaluation, in bytes. Native functions, which check less
/// often, may need more than [`CALLS`].
pub(crate) const STACK: usize = 2 << 20;

/// How deep a text may call, in bytes of the stack.
const CALLS: usize = 512 << 10;

/// What a text may use, in bytes.
const MEMORY: usize = 32 << 20;

/// The longest result that is shown, in UTF-16 units.
const SHOWN: usize = 4096;

/// `String(value)`, cut at `limit`, with every unpaired surrogate replaced. It keeps the functions
/// that it needs, because the text may give their names other meanings.
const SHOW: &str = "(() => {
    const call = Function.prototype.call;
    const slice = call.bind(String.prototype.slice);
    const wellFormed = call.bind(String.prototype.toWellFormed);
    const string = String;
    return (value, limit) => {
        const text = string(value);
        return wellFormed(text.length > limit ? slice(text, 0, limit) + '…' : text);
    };
})()";

/// Why a text has no result. Its words go to the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// It threw this; a text that is no JavaScript throws a `SyntaxError`.
    Thrown(String),
    /// It took longer than this.
    TooLong(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Thrown(text) => f.write_str(text),
            Failure::TooLong(limit) => write!(f, "计算时间超过 {} 毫秒", limit.as_millis()),
        }
    }
}

/// The value of a JavaScript text, as `String(value)` shows it.
///
/// Native code of the engine does not look at the clock: an evaluation may take longer than
/// `limit`, even for ever. A caller that must not wait watches the clock itself.
pub(crate) fn evaluate(text: &str, limit: Duration) -> Result<String, Failure> {
    let interrupted = Rc::new(Cell::new(false));
    let result = run(text, limit, &interrupted);
    if interrupted.get() {
        return Err(Failure::TooLong(limit));
    }
    result.unwrap_or_else(|error| Err(Failure::Thrown(error.to_string())))
}

/// The outer error is that of an engine which cannot be set up.
fn run(
    text: &str,
    limit: Duration,
    interrupted: &Rc<Cell<bool>>,
) -> Result<Result<String, Failure>, Error> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(CALLS);
    let deadline = Instant::now() + limit;
    let seen = Rc::clone(interrupted);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        seen.set(seen.get() || Instant::now() >= deadline);
        seen.get()
    })));
    Context::full(&runtime)?.with(|context| {
        let show: Function<'_> = context.eval(SHOW)?;
        let shown = execute(&context, text).and_then(|value| show.call((value, SHOWN)));
        Ok(shown.map_err(|error| Failure::Thrown(reason(&context, &show, &error))))
    })
}

/// As a program's `eval` does it: not in strict mode.
fn execute<'js>(context: &Ctx<'js>, text: &str) -> Result<Value<'js>, Error> {
    let mut options = EvalOptions::default();
    options.strict = false;
    context.eval_with_options(text, options)
}

/// What was thrown, as `String(thrown)` shows it.
fn reason<'js>(context: &Ctx<'js>, show: &Function<'js>, error: &Error) -> String {
    if matches!(error, Error::InvalidString(_)) {
        return "SyntaxError: U+0000 in the text".to_owned();
    }
    if !error.is_exception() {
        return error.to_string();
    }
    let thrown = context.catch();
    if thrown.is_null() {
        // There was no memory left for an error object.
        return "out of memory (or null was thrown)".to_owned();
    }
    show.call((thrown, SHOWN)).unwrap_or_else(|_| {
        // The thrown object throws when it is to become a text; its exception is of no interest.
        let _second = context.catch();
        "an exception that cannot be shown".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far more than an innocent text needs, on whatever machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[track_caller]
    fn result(text: &str) -> String {
        match evaluate(text, PATIENCE) {
            Ok(result) => result,
            Err(failure) => panic!("{text}: {failure:?}"),
        }
    }

    #[track_caller]
    fn thrown(text: &str) -> String {
        match evaluate(text, PATIENCE) {
            Err(Failure::Thrown(text)) => text,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn results_are_shown_as_string_shows_them() {
        for (text, shown) in [
            ("13", "13"),
            ("13 * 2", "26"),
            ("\"asdasd\" + 'dsas'", "asdasddsas"),
            ("0.1 + 0.2", "0.30000000000000004"),
            ("1 / 0", "Infinity"),
            ("0 / 0", "NaN"),
            ("1n << 70n", "1180591620717411303424"),
            ("undefined", "undefined"),
            ("", "undefined"),
            ("null", "null"),
            ("true", "true"),
            ("[1, [2, 3]]", "1,2,3"),
            ("({})", "[object Object]"),
            ("x => x * 2", "x => x * 2"),
            ("Symbol('a')", "Symbol(a)"),
            ("Promise.resolve(1)", "[object Promise]"),
            ("import('fs')", "[object Promise]"),
            ("new Date(NaN)", "Invalid Date"),
            ("/a/g", "/a/g"),
            ("'机器人 🤖'", "机器人 🤖"),
            ("'\\0'", "\0"),
            ("with ({ a: 3 }) { a }", "3"),
            ("let a = 1; a + 1", "2"),
        ] {
            assert_eq!(result(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_text_is_made_one() {
        assert_eq!(result("'a\\ud83db'"), "a\u{fffd}b");
        let long = result("'x'.repeat(5000000)");
        assert_eq!((long.len(), long.ends_with("xx…")), (SHOWN + 3, true));
        // The cut goes through a pair of surrogates.
        assert!(result("'x'.repeat(4095) + '🤖'").ends_with("x\u{fffd}…"));
    }

    #[test]
    fn what_is_thrown_is_the_failure() {
        for (text, shown) in [
            ("x", "ReferenceError: x is not defined"),
            ("throw 1", "1"),
            ("throw new Error('很')", "Error: 很"),
            ("throw Symbol('s')", "Symbol(s)"),
            ("({ toString() { throw 'no' } })", "no"),
            (
                "throw { toString() { throw 1 } }",
                "an exception that cannot be shown",
            ),
            ("'\0'", "SyntaxError: U+0000 in the text"),
        ] {
            assert_eq!(thrown(text), shown, "{text}");
        }
        for text in ["1 +", "import fs from 'fs'", "await 1", "((("] {
            let shown = thrown(text);
            assert!(shown.starts_with("SyntaxError: "), "{text}: {shown}");
        }
    }

    #[test]
    fn a_text_sees_nothing_of_the_process_nor_of_another_text() {
        assert_eq!(result("globalThis.left = 1"), "1");
        for name in [
            "left",
            "require",
            "process",
            "std",
            "os",
            "fetch",
            "setTimeout",
        ] {
            assert_eq!(result(&format!("typeof {name}")), "undefined", "{name}");
        }
    }

    #[test]
    fn a_text_cannot_change_how_its_result_is_shown() {
        let text = "Function.prototype.call = Function.prototype.bind = null; \
                    String.prototype.slice = String.prototype.toWellFormed = () => 'mine'; \
                    String = () => 'mine'; 5";
        assert_eq!(result(text), "5");
    }

    #[test]
    fn endless_texts_are_interrupted_wherever_they_loop() {
        let limit = Duration::from_millis(50);
        for text in [
            "while (true) {}",
            "try { for (;;); } finally { for (;;); }",
            "({ toString() { for (;;); } })",
            "throw { toString() { for (;;); } }",
            "[...(function* () { for (;;); })()]",
            "[2, 1].sort(() => { for (;;); })",
            "/(a+)+$/.test('a'.repeat(40) + 'b')",
        ] {
            assert_eq!(
                evaluate(text, limit),
                Err(Failure::TooLong(limit)),
                "{text}"
            );
        }
        let words = "计算时间超过 50 毫秒";
        assert_eq!(Failure::TooLong(limit).to_string(), words);
    }

    #[test]
    fn the_memory_has_a_limit() {
        for text in [
            "'x'.repeat(2 ** 29)",
            "new ArrayBuffer(2 ** 26)",
            "a = []; for (;;) a.push(new Array(1000).fill(1))",
            "let a = new Uint8Array(2 ** 24); [a.slice(), a.slice(), a.slice()]",
        ] {
            let shown = thrown(text);
            assert!(
                shown.contains("out of memory") || shown.starts_with("RangeError"),
                "{text}: {shown}"
            );
        }
        assert_eq!(result("'x'.repeat(2 ** 24).length"), "16777216");
    }

    #[test]
    fn deep_recursion_is_an_exception() {
        for text in [
            "(function f() { f() })()",
            "eval('['.repeat(100000))",
            "JSON.parse('['.repeat(100000))",
            "let a = []; for (let i = 0; i < 100000; i++) a = [a]; String(a)",
            "let a = null; for (let i = 0; i < 100000; i++) a = { a }; JSON.stringify(a)",
        ] {
            let shown = thrown(text);
            assert_eq!(
                shown, "RangeError: Maximum call stack size exceeded",
                "{text}"
            );
        }
    }
}
