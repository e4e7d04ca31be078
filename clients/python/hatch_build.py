"""Puts the binary that `TOKENFALL_BIN` names into the wheel, so that it stands on the PATH once that is installed.

Nothing is compiled here. `TOKENFALL_PLATFORM` is the wheel's platform tag, that of this machine where it is not set.
"""

import os
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BinaryHook(BuildHookInterface):
    """Makes the wheel one of a platform, for any Python 3."""

    def initialize(self, version: str, build_data: dict) -> None:
        if version == "editable":  # the binary is looked for on the PATH and in target/
            return
        binary = Path(os.environ.get("TOKENFALL_BIN", ""))
        if not os.access(binary, os.X_OK) or not binary.is_file():
            raise ValueError("TOKENFALL_BIN has to name the binary: run `cargo build --release`, then set it")
        here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{os.environ.get('TOKENFALL_PLATFORM', here)}"
        build_data["pure_python"] = False
        build_data["shared_scripts"] = {str(binary.resolve()): "tokenfall"}
