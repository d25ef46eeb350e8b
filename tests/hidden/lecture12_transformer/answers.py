"""The language that Seq2SeqTask has to learn: no student's process holds its key, or translations of the new words.

Its seed is fixed: the translations that `share_of_right_words` knows must be those of the words that were given.
"""

import numpy as np

END, FIRST_LETTER, VOCABULARY = 2, 3, 29
LEARNED = 5000  # so many words are given with their translations; the others are the new ones

_rng = np.random.default_rng(18510429)
_KEY = FIRST_LETTER + _rng.permutation(VOCABULARY - FIRST_LETTER)
_WORDS = [_rng.integers(FIRST_LETTER, VOCABULARY, size=_rng.integers(1, 8)).tolist() for _ in range(5500)]
_TRANSLATIONS = [_KEY[np.array(word[::-1]) - FIRST_LETTER].tolist() for word in _WORDS]

NEW = _TRANSLATIONS[LEARNED:]


def new_language(rng):
    """Words to learn from, their translations, and new words. Words are spoken backwards, each letter is replaced."""
    return _WORDS[:LEARNED], _TRANSLATIONS[:LEARNED], _WORDS[LEARNED:]


def share_of_right_words(seen):
    """Of the new words, the share that is translated without a mistake: by `predict`, and by the model itself.

    What the model says is not yet cut off after END.
    """
    predicted, dictated = seen
    if len(predicted) != len(NEW) or len(dictated) != len(NEW):
        return 0.0
    right = [
        list(said) == true and list(spoken)[: len(true) + 1] == [*true, END]
        for said, spoken, true in zip(predicted, dictated, NEW, strict=True)
    ]
    return sum(right) / len(right)
