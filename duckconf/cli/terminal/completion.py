"""What `./inv completion` prints: the function of a shell that asks `./inv --complete` on TAB. Of this checkout's `inv` alone.

The program of another folder that is called `inv` too is not run because somebody pressed TAB behind its name.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from duckconf.errors import BadInput, Fault
from duckconf.suggest import meant

BASH = """\
_duckconf_inv() {
  local inv=${COMP_WORDS[0]/#\\~/$HOME} here word
  [[ $inv == */* ]] || inv=$(type -P "$inv")
  here=$(cd -- "$(dirname -- "$inv")" 2>/dev/null && pwd -P)
  COMPREPLY=()
  [[ $here == ROOT ]] || { compopt -o default; return; }
  while IFS= read -r word; do
    case $word in
      :files) compopt -o default ;;
      *[=:]) compopt -o nospace && COMPREPLY+=("$word") ;;
      *) COMPREPLY+=("$word") ;;
    esac
  done < <(ROOT/inv --complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _duckconf_inv inv ./inv
"""
ZSH = """\
#compdef inv
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_duckconf_inv() {
  local inv=${(Q)words[1]/#\\~/$HOME}
  [[ $inv == */* ]] || inv=$commands[$inv]
  [[ ${inv:A:h} == ROOT ]] || { _files; return }
  local -a found open; local line
  for line in "${(@f)$(ROOT/inv --complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      (:files) _files ;;
      (*[=:]) open+=("$line") ;;
      (?*) found+=("$line") ;;
    esac
  done
  (( $#open )) && compadd -S '' -a open
  (( $#found )) && _describe -V word found
}
compdef _duckconf_inv inv
"""
FISH = """\
function __duckconf_inv
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l inv (command -s -- $words[1]; or echo $words[1])
    test (realpath -- (dirname -- $inv) 2>/dev/null) = ROOT; or return
    set -e words[1]
    for line in (ROOT/inv --complete fish $words "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo -- $line
        end
    end
end
complete -c inv -f -a '(__duckconf_inv)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: str, root: Path) -> str:
    """Raises BadInput."""
    if shell not in SCRIPTS:
        raise BadInput(Fault("SHELL", f"should be bash, zsh or fish, got {shell!r}{meant(shell, SCRIPTS)}"))
    return SCRIPTS[shell].replace("ROOT", shlex.quote(str(root)))
