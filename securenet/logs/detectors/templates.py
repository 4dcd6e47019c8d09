"""Which lines say the same thing? Templates of lines that no parser understands, mined as they come.

Drain (He, Zhu, Zheng and Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017), by the
library drain3-improved. It is imported late: it takes time and memory that web servers have no use for.
"""

from __future__ import annotations

from typing import Any, Final

MOST_TEMPLATES: Final = 1_000
LONGEST_LINE: Final = 500  # characters that are looked at
# Numbers and addresses are not part of what a line says. Linear for whatever text.
_MASKS: Final = (
    (r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])", "address"),
    (r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}[0-9a-fA-F:]{0,24}", "address"),
    (r"(?<!\w)0x[0-9a-fA-F]{1,32}(?!\w)", "number"),
    (r"(?<!\w)[0-9a-f]{8,64}(?!\w)", "id"),
    (r"(?<!\w)[+-]?\d{1,20}(?:\.\d{1,20})?(?!\w)", "number"),
)


class TemplateMiner:
    """Gives lines of the same shape the same number. At most `MOST_TEMPLATES` are known; the rarest used go."""

    def __init__(self) -> None:
        from drain3 import TemplateMiner as Miner
        from drain3.masking import MaskingInstruction
        from drain3.template_miner_config import TemplateMinerConfig

        config = TemplateMinerConfig()
        config.drain_max_clusters = MOST_TEMPLATES
        config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in _MASKS]
        self._miner: Any = Miner(config=config)

    def number_of(self, line: str) -> int:
        """The number of the template that the line has."""
        return int(self._miner.add_log_message(line[:LONGEST_LINE])["cluster_id"])

    def text_of(self, number: int) -> str:
        """The template as it is known now: what differs between lines stands as ``<*>``; empty if it was given up."""
        cluster = self._miner.drain.id_to_cluster.get(number)
        return cluster.get_template() if cluster is not None else ""
