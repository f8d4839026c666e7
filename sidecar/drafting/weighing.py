"""What a sentence is about, and what it is worth in a summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.drafting.measures import is_out_of_range, measured_in

if TYPE_CHECKING:
    from sidecar.drafting.rules import Role, Rules, Topic

_ROW_WORDS = 16
_LEAD_SENTENCES = 2
_OPENING_SENTENCES = 5
_TOLD = 0.4
_UNTITLED = 3  # a letter comes to the point later than a section does
_MOST_OF_TOPICS = 8.0  # a long sentence that touches everything is not worth two short ones
_OF_MEDICATIONS = ("medication-change", "medication-stop", "discharge-medication", "taking")
_DANGLING = frozenset({"this", "these", "that", "it", "they", "those", "otherwise", "also", "again", "then"})
_VERBS = frozenset({"is", "are", "was", "were", "be", "been", "has", "have", "had", "will", "did"})


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a sentence stands: role of its section, and position in it from 0."""

    role: Role | None
    position: int


def weigh(words: list[str], topics: Counter[str], rules: Rules, standing: Standing) -> float:
    """Return what a sentence is worth; the unit is that of mappings/lexicons/clinical-cues.yaml."""
    about = sum(rules.topics[name].weight * _share(rules.topics[name], standing) for name in topics)
    dangling = 1 if words[0] in _DANGLING else 0
    return min(_MOST_OF_TOPICS, about) + _more_findings(topics) + _worth_of_place(words, standing) - dangling


def find_topics(words: list[str], rules: Rules) -> Counter[str]:
    """Return the topics of a sentence and how often each is named; a finding that is denied is not."""
    topics: Counter[str] = Counter()
    denied = False
    for name in rules.cues.find(words):
        if name in {"negation-start", "negation-end"}:
            denied = name == "negation-start"
        elif not (denied and rules.topics[name].negatable):
            topics[name] += 1
    dosed = not rules.doses.isdisjoint(words)
    if dosed or drugs_in(words, rules):
        topics["medication"] += 1
    else:
        for name in _OF_MEDICATIONS:
            del topics[name]
    if not dosed and is_out_of_range(words, rules):
        topics["abnormal"] += 1
        topics["abnormal-result"] += 1
    if "abnormal" in topics and "study" in topics:
        topics["abnormal-result"] += 1
    _drop_noise(topics)
    return topics


def _drop_noise(topics: Counter[str]) -> None:
    """Let a finding outweigh what is normal beside it, and a specimen or a drain the steps of the operation."""
    if "abnormal" in topics:
        del topics["normal"]
    if "outcome" in topics:
        del topics["technique"]


def drugs_in(words: list[str], rules: Rules) -> frozenset[str]:
    """Return the words that name a drug or a class of drugs, and are not measured."""
    named = frozenset(word for word in words if _is_drug(word, rules))
    return named - measured_in(words, rules) if named and rules.doses.isdisjoint(words) else named


def is_essential(words: list[str], topics: Counter[str], rules: Rules, standing: Standing) -> bool:
    """Say whether a sentence goes before all that is not: it is acted on, or harms where it is missed."""
    role = standing.role
    name = role.name if role else "none"
    for topic in (rules.topics[found] for found in topics):
        if not topic.essential_in.isdisjoint({name, "any"}) and _share(topic, standing) > 0:
            return True
    if role is None or not role.essential:
        return False
    return standing.position < _LEAD_SENTENCES or (not role.past and is_row(words))


def _more_findings(topics: Counter[str]) -> float:
    """Return what a sentence with several findings is worth over one with a single finding."""
    return min(1.2, max(0, topics["abnormal"] - 1) * 0.4)


def _is_drug(word: str, rules: Rules) -> bool:
    if word in rules.drug_names:
        return True
    if word in rules.not_drugs:
        return False
    return any(word[-letters:] in rules.drug_suffixes for letters in range(4, min(9, len(word))))


def _share(topic: Topic, standing: Standing) -> float:
    """Return how much of its weight a topic has where it stands."""
    role = standing.role
    if topic.name == "normal":
        return role.normal if role else 1
    if topic.counts_in and (role.name if role else "none") not in topic.counts_in:
        return 0
    if topic.within and standing.position >= topic.within * (1 if role else _UNTITLED):
        return 0
    told = role is not None and role.past and topic.moves_from and "any" not in topic.moves_from
    return _TOLD if told else 1


def _worth_of_place(words: list[str], standing: Standing) -> float:
    """Return the weight of where a sentence stands: its section, and what the head and the rows of it add."""
    role = standing.role
    if role is None:
        return 1.5 if standing.position < _OPENING_SENTENCES else 0.5
    lead = max(0.0, 1 - standing.position / _LEAD_SENTENCES)
    return role.weight + role.lead * lead + (role.fragment if is_row(words) else 0)


def is_row(words: list[str]) -> bool:
    """Say whether words are a row of a list and no sentence: few, and without a verb."""
    return len(words) <= _ROW_WORDS and _VERBS.isdisjoint(words)
