"""Who may send, and the file that says so."""

import pytest

from producers.webhook.providers import SecretsFile, provider_of, providers_of
from topics.errors import SettingsError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOML = (
    f'[pay]\nscheme = "stripe"\nsecrets = ["whsec_1", "whsec_2"]\n[std]\nscheme = "standard"\nsecrets = ["{SECRET}"]\n'
)


@pytest.fixture
def path(tmp_path):
    """A readable secrets file."""
    file = tmp_path / "secrets.toml"
    file.write_text(TOML)
    file.chmod(0o600)
    return file


def write(path, text):
    """Replace the file, as careful people do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.replace(path)


def test_each_provider_has_its_scheme_and_its_secrets():
    """In the order of the file."""
    found = providers_of(TOML)
    assert {"pay": ("stripe", 2), "std": ("standard", 1)} == {n: (p.scheme, len(p.keys)) for n, p in found.items()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        'secret = "whsec_1"',
        '[pay]\nscheme = "stripe"',
        '[pay]\nscheme = "stripe"\nsecrets = []',
        '[pay]\nscheme = "stripe"\nsecrets = [1]',
        '[pay]\nscheme = "stripe"\nsecrets = "whsec_1"',
        '[pay]\nscheme = "paypal"\nsecrets = ["whsec_1"]',
        '["a/b"]\nscheme = "stripe"\nsecrets = ["whsec_1"]',
        '[pay]\nscheme = "stripe"\nsecrets = ["whsec_1"]\nextra = 1',
        "[pay]\nsecrets = [whsec_1]",
    ],
)
def test_a_file_that_says_something_else_is_refused(text):
    """The message names what is wrong, and never a secret."""
    with pytest.raises(SettingsError) as refused:
        providers_of(text)
    assert "whsec_1" not in str(refused.value)


def test_too_many_secrets_are_refused():
    """Each is tried on each request."""
    with pytest.raises(SettingsError, match="1 to 16"):
        provider_of("pay", "stripe", ["x"] * 17)


def test_secrets_rotate_without_a_restart(path):
    """The next look after a change has the new ones; without a change it reads nothing."""
    file = SecretsFile(path, pytest.fail)
    assert not file.look()
    write(path, TOML.replace('"whsec_1", ', ""))
    assert file.look()
    assert (b"whsec_2",) == file.providers["pay"].keys


@pytest.mark.parametrize("spoil", ["text", "mode", "gone"])
def test_a_file_that_cannot_be_read_leaves_the_secrets_as_they_are(path, spoil):
    """Said once; and mended, it is read again."""
    errors = []
    file = SecretsFile(path, errors.append)
    before = file.providers
    if spoil == "text":
        write(path, "[pay]\n")
    elif spoil == "mode":
        path.chmod(0o644)
    else:
        path.unlink()
    assert [False, False] == [file.look(), file.look()]
    assert before is file.providers
    assert 1 == len(errors)
    write(path, TOML)
    assert file.look()
    assert file.providers.keys() == before.keys()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(path, mode):
    """With the command that mends it."""
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        SecretsFile(path, pytest.fail)
