"""Prompts: words that an encoder puts before each text, by name; others before a query than before a document, say.

Left out on purpose: prompts of their own for single texts of a list.
"""

from collections.abc import Mapping

from course_lib.support.text_inputs import check_mapping, checked_text, text_mapping


class Prompted:
    """For a class with `encode(sentences, prompt_name, ...)`: its prompts; queries and documents with theirs."""

    prompts: dict[str, str]
    default_prompt_name: str | None

    def set_prompts(self, prompts: Mapping[str, str] | None, default_prompt_name: str | None):
        """ "query" and "document" are empty where they are not given. TypeError for what is no {name: prompt}."""
        given = {name: text or "" for name, text in check_mapping(prompts or {}, "prompts", "{name: prompt}").items()}
        self.prompts = {"query": "", "document": ""} | text_mapping(given, "prompts")
        self.default_prompt_name = default_prompt_name

    def resolve_prompt(self, prompt: str | None, prompt_name: str | None) -> str:
        """The prompt itself if it is given, or the one of that name, or the default. ValueError for an unknown name."""
        if prompt is not None:
            return checked_text(prompt, what="prompt")
        name = self.default_prompt_name if prompt_name is None else prompt_name
        if name is not None and name not in self.prompts:
            raise ValueError(f"no prompt {name!r}; this model has {sorted(self.prompts)}")
        return "" if name is None else self.prompts[name]

    def encode_query(self, sentences, prompt_name: str = "query", **options):
        """`encode` with the prompt "query", which is empty where the model names none."""
        return self.encode(sentences, prompt_name, **options)

    def encode_document(self, sentences, prompt_name: str = "document", **options):
        """`encode` with the prompt "document", which is empty where the model names none."""
        return self.encode(sentences, prompt_name, **options)
