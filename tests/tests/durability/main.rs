//! What holds whatever happens to the process, the disk, or the files in between: a run that was
//! cut off ends the same, an effect happens once, and an approval is for exactly what was shown.

mod approvals;
mod disclosure;
mod external;
mod folders;
mod held;
mod interrupt;
mod labels;
mod models;
mod rows;
mod scene;
mod secrets;
mod storage;
mod sweep;
mod targets;
mod workers;
