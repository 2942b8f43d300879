"""One group of settings: from the environment, else from a table of the settings file, else the default."""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from infra.environment import (
    FILE,
    SettingsError,
    nearest,
    secret_of_environment,
    secrets_of_table,
)
from infra.wording import is_secret, of_another_type, refusal


class _Environment(EnvSettingsSource):
    """The variables. An empty one of a secret counts as absent, so that a file may give the secret."""

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        fields = self.settings_cls.model_fields
        return {name: value for name, value in found.items() if value or not is_secret(fields[name])}


class Part(BaseSettings):
    """One frozen group of settings. The environment wins over what is given. Raises SettingsError.

    A secret is a field that is a `SecretStr` or has `repr=False`. It may come from a file.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **given: Any) -> None:
        for name, value in given.items():
            if name in type(self).model_fields and (error := of_another_type(self._field(name), value)):
                raise SettingsError(refusal(self._place(name), self._field(name), error))
        try:
            super().__init__(**self._with_secrets(given))
        except ValidationError as error:
            raise SettingsError(self._sentence(error, given)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return _Environment(settings_cls), init_settings

    @classmethod
    def table(cls) -> str:
        """Its table in the settings file."""
        return cls.__name__.removesuffix("Settings").lower()

    @classmethod
    def variable(cls, name: str) -> str:
        """The environment variable of a field."""
        return (cls.model_config.get("env_prefix", "") + name).upper()

    @classmethod
    def variables(cls) -> list[str]:
        """Every variable that this part reads, those that name the file of a secret too."""
        secret_files = [cls.variable(name) + FILE for name in cls.secrets()]
        return [cls.variable(name) for name in cls.model_fields] + secret_files

    @classmethod
    def secrets(cls) -> list[str]:
        return [name for name, field in cls.model_fields.items() if is_secret(field)]

    @classmethod
    def _with_secrets(cls, given: dict[str, Any]) -> dict[str, Any]:
        whole = secrets_of_table(given, cls.secrets(), f"[{cls.table()}]")
        for name in cls.secrets():
            secret = secret_of_environment(cls.variable(name))
            if secret is not None:
                whole[name] = secret
        return whole

    @classmethod
    def _sentence(cls, error: ValidationError, given: dict[str, Any]) -> str:
        first = error.errors()[0]
        if not first["loc"]:  # a check of several settings together, which is a whole sentence
            return str(first["ctx"]["error"])
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            question = nearest(name, list(cls.model_fields))
            return f"There is no setting {name} in [{cls.table()}] of the settings file.{question}"
        variable = cls.variable(name)
        if name in given and variable not in map(str.upper, os.environ):
            variable = cls._place(name)
        return refusal(variable, cls._field(name), first)

    @classmethod
    def _field(cls, name: str) -> FieldInfo:
        return cls.model_fields[name]

    @classmethod
    def _place(cls, name: str) -> str:
        """Of a value in the settings file."""
        return f"{cls.variable(name)} ({name} in [{cls.table()}])"
