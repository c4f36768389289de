"""How the page for holders looks, and the policy that lets nothing but this style into it."""

import base64
import hashlib
from typing import Final

__all__ = ["POLICY", "STYLE"]

STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f4f1; --paper: #fff; --ink: #1d1a17; --soft: #57514a; --line: #8b8378; --wax: #9c1c17; --on-wax: #fff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #161412; --paper: #211e1b; --ink: #f1ece6; --soft: #c2b9ae; --line: #8f867b; --wax: #ffa79e;
    --on-wax: #2b0906;
  }
}
* { box-sizing: border-box; }
body { margin: 0; border-top: .3rem solid var(--wax); background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
header, main { max-width: 46rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between; }
header p, nav { margin: 0; font-weight: 600; }
nav { display: flex; gap: 1rem; }
a { color: var(--wax); }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 0 0 1rem; font-size: 1.35rem; line-height: 1.3; }
h3 { margin: 1.75rem 0 .5rem; font-size: 1.1rem; }
h4 { margin: 1.25rem 0 .5rem; font-size: 1rem; }
ol, ul { padding-left: 1.4rem; }
li { margin: .4rem 0; }
form, section { margin: 1.5rem 0; padding: 1.25rem; background: var(--paper); border-radius: .6rem; }
form { border: 1px solid var(--line); }
label, legend { font-weight: 600; }
fieldset { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .5rem; margin: 1.25rem 0;
  padding: 0; border: 0; }
legend { padding: 0 0 .4rem; }
fieldset label { display: flex; gap: .6rem; align-items: center; min-height: 2.75rem; padding: .4rem .75rem;
  border: 1px solid var(--line); border-radius: .4rem; font-weight: 400; cursor: pointer; }
fieldset input { width: 1.15rem; height: 1.15rem; margin: 0; accent-color: var(--wax); flex: none; }
input[type=email] { display: block; width: 100%; min-height: 2.75rem; margin-top: .3rem; padding: .4rem .75rem;
  border: 1px solid var(--line); border-radius: .4rem; background: var(--paper); color: var(--ink); font: inherit; }
button, .button { display: inline-block; min-height: 2.75rem; padding: .55rem 1.4rem; border: 0; border-radius: .4rem;
  background: var(--wax); color: var(--on-wax); font: inherit; font-weight: 600; text-decoration: none;
  cursor: pointer; }
:focus-visible { outline: .2rem solid var(--wax); outline-offset: .15rem; }
section:focus { outline: none; }
.hint { margin: .35rem 0 0; color: var(--soft); font-size: .925rem; }
.problem { margin: .5rem 0 0; padding: .5rem .75rem; border-left: .3rem solid var(--wax); font-weight: 600; }
.servers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem; }
table { width: 100%; border-collapse: collapse; align-self: start; }
caption { padding: .3rem 0; font-weight: 600; text-align: left; }
th, td { padding: .35rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
th { width: 1%; padding-right: .75rem; color: var(--soft); font-weight: 400; white-space: nowrap; }
td, .name { font-family: ui-monospace, monospace; font-size: .925em; user-select: all; }
summary { margin: 1rem 0; font-weight: 600; cursor: pointer; }
"""

_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Its Content-Security-Policy: no script, no picture, nothing from anywhere."""
