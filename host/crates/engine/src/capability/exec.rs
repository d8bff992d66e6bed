//! `exec`: programs of this machine, as far as the call's authority permits.

use authority::{Authority, ExecCall};
use base::{Capability, Effect, RootName};

use super::Inert;
use crate::bindings::exec::{self, Ending as WitEnding, ExecError as Wit, Outcome, Request};
use crate::exec::{Ending, ExecAnswer, ExecError, Refusal, Wanted};
use crate::guest::Guest;

/// What the guest is told where a run would have to be approved first.
const NOT_HELD: &str = "operations of effect `external` and `destructive` cannot run programs yet: \
                        a run would have to be approved before it";

impl Guest {
    fn run_once(&mut self, request: &Request) -> Result<Outcome, Refusal> {
        let wanted = Wanted {
            program: &request.program,
            arguments: &request.arguments,
            variables: &request.variables,
            root: &request.root,
            folder: &request.folder,
            stdin: &request.stdin,
        };
        let exec = &self.host.exec;
        let order = exec.authorise(&wanted, &self.authority, &self.host.roots)?;
        let go_on = || self.budget.check_time().is_ok();
        Ok(outcome(exec.perform(&order, self.budget.bytes_left(), &go_on)?))
    }
}

fn outcome(answer: ExecAnswer) -> Outcome {
    let ending = match answer.ending {
        Ending::Exited(code) => WitEnding::Exited(code),
        Ending::Signalled(signal) => WitEnding::Signalled(signal),
    };
    let ExecAnswer { stdout, stderr, duration_ms, .. } = answer;
    Outcome { ending, stdout, stderr, duration_ms }
}

fn wit(error: ExecError) -> Wit {
    match error {
        ExecError::NotFound | ExecError::InvalidFolder(_) => Wit::NotFound,
        ExecError::Changed => Wit::Changed,
        ExecError::Unsupported(why) => Wit::Unsupported(why),
        ExecError::Timeout | ExecError::Stopped => Wit::Timeout,
        ExecError::TooLarge => Wit::TooLarge,
        ExecError::Io(why) => Wit::Io(why),
    }
}

/// What a request brings from the guest.
fn size(request: &Request) -> usize {
    let variables: usize = request.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    let arguments: usize = request.arguments.iter().map(String::len).sum();
    let fixed = request.program.len() + request.root.len() + request.folder.len();
    fixed + arguments + variables + request.stdin.len()
}

impl exec::Host for Guest {
    fn run(&mut self, request: Request) -> wasmtime::Result<Result<Outcome, Wit>> {
        self.budget.enter(size(&request))?;
        if self.authority.effect() >= Effect::External {
            return Ok(Err(Wit::Denied(NOT_HELD.to_owned())));
        }
        let done = self.run_once(&request);
        // A call that is over ends here, whatever its program was doing.
        self.budget.check_time()?;
        match done {
            Ok(outcome) => {
                self.budget.charge(outcome.stdout.len().saturating_add(outcome.stderr.len()))?;
                Ok(Ok(outcome))
            }
            Err(Refusal::Error(error)) => Ok(Err(wit(error))),
            Err(Refusal::Denied(denied)) => {
                self.record(&denied);
                Ok(Err(Wit::Denied(self.denial_text(&denied))))
            }
        }
    }
}

impl exec::Host for Inert<'_> {
    fn run(&mut self, request: Request) -> wasmtime::Result<Result<Outcome, Wit>> {
        // Of this command alone, so that the grant that is offered is no wider than the call.
        let asks = |authority: &Authority| {
            let Ok(root) = request.root.parse::<RootName>() else {
                return authority.permits(Capability::Exec);
            };
            let (arguments, variables) = (&request.arguments, &request.variables);
            let call = ExecCall { root: &root, program: &request.program, arguments, variables };
            authority.permits_exec(&call).map(drop)
        };
        let denied = self.refuse_what(Capability::Exec, size(&request), asks)?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }
}
