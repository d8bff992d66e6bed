//! `exec`: programs of this machine, as far as the call's authority permits.

use authority::{Authority, ExecCall};
use base::{Capability, Effect, RootName};

use super::Inert;
use crate::bindings::exec::{self, Ending as WitEnding, ExecError as Wit, Outcome, Request};
use crate::exec::{Ending, ExecAnswer, ExecError, ExecRequest, Refusal, Wanted};
use crate::guest::Guest;
use crate::held::HeldCall;

impl Guest {
    /// What exactly is run, if the call's authority permits it.
    fn order(&self, request: &Request) -> Result<ExecRequest, Refusal> {
        let wanted = Wanted {
            program: &request.program,
            arguments: &request.arguments,
            variables: &request.variables,
            root: &request.root,
            folder: &request.folder,
            stdin: &request.stdin,
        };
        self.host.exec.authorise(&wanted, &self.authority, &self.host.roots)
    }

    fn run_once(&self, order: &ExecRequest) -> Result<Outcome, ExecError> {
        let go_on = || self.budget.check_time().is_ok();
        self.host.exec.perform(order, self.budget.bytes_left(), &go_on).map(outcome)
    }
}

/// What a guest is told of a run.
pub(crate) fn exec_answer(done: Result<ExecAnswer, ExecError>) -> Result<Outcome, Wit> {
    done.map(outcome).map_err(wit)
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
        let order = match self.order(&request) {
            // What may change something waits for somebody who agrees.
            Ok(order) if self.authority.effect() >= Effect::External => {
                self.reached.used(Capability::Exec);
                return self.sent(HeldCall::Exec(Box::new(order)));
            }
            order => order,
        };
        if order.is_ok() {
            self.reached.used(Capability::Exec);
        }
        let done = order.and_then(|order| Ok(self.run_once(&order)?));
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
