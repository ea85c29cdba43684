"""The operator's lexicon: its file, its errors, and how its readings reach the voices."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from broadcaster.errors import ConfigError
from broadcaster.speech.g2p import Phonemiser
from broadcaster.speech.normalise import reading
from broadcaster.speech.reading import ssml
from broadcaster.speech.reading.lexicon import EVERY, PINYIN, Entry, Lexicon
from broadcaster.speech.reading.pinyin import syllable

pytestmark = pytest.mark.unit

SHIPPED = Path(__file__).parents[2] / "playlists" / "lexicon.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lexicon.yaml"
    path.write_text(text, "utf-8")
    return path


def loaded(tmp_path: Path, text: str) -> Lexicon:
    return Lexicon.load(written(tmp_path, text))


def test_a_lexicon_is_read_with_every_form_of_entry(tmp_path: Path) -> None:
    lexicon = loaded(
        tmp_path,
        "words:\n  小播: 小波\n  K8s: {say: K八S}\n  还款: {pinyin: huán kuan3}\n"
        "  Jensen: {ipa: /ˈdʒɛnsən/, say: 詹森}\n  GDP: {say: 国内生产总值, language: zh}\n",
    )
    assert lexicon.entries == (
        Entry("小播", say="小波"),
        Entry("K8s", say="K八S"),
        Entry("还款", pinyin=("huan2", "kuan3")),
        Entry("Jensen", say="詹森", ipa="ˈdʒɛnsən"),
        Entry("GDP", say="国内生产总值", language="zh"),
    )


@pytest.mark.parametrize("text", ["", "words:\n", "words: {}\n", "# nothing\n"])
def test_an_empty_file_is_an_empty_lexicon(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).entries == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "1: must be the key words with one word per line below it"),
        ("words: [a]\n", "1: must be the key words with one word per line below it"),
        ("word:\n  a: b\n", "1: word: there is no such key -> put the words below the key words"),
        (
            "words:\n  行长: {pinyin: hang2}\n",
            "2: words.行长.pinyin: 2 characters and 1 syllables -> write one syllable",
        ),
        (
            "words:\n  行长: {pinyin: hang2 zhong9}\n",
            "2: words.行长.pinyin: zhong9 is not a syllable of Mandarin -> ",
        ),
        ("words:\n  AB: {pinyin: hang2}\n", "2: words.AB.pinyin: AB is not of Chinese characters alone -> use say"),
        ("words:\n  行长: {ipa: a}\n", "2: words.行长.ipa: 行长 is not of Latin letters alone -> use say, or pinyin"),
        ("words:\n  Abc: {ipa: q1}\n", "2: words.Abc.ipa: no voice knows the signs '1q' -> write the IPA of English"),
        (
            "words:\n  a: b\n  c: {say: x, sya: d}\n",
            "3: words.c.sya: there is no such key -> use one of: say, pinyin, ipa, language",
        ),
        ("words:\n  c: {language: zh}\n", "2: words.c: has no reading -> add say, pinyin or ipa"),
        ("words:\n  c: {say: x, language: fr}\n", "2: words.c.language: must be zh or en -> leave it out"),
        ("words:\n  c: 5\n", "2: words.c: needs a reading -> write how it is said (in quotes if it is a number)"),
        ("words:\n  c: {say: 5}\n", "2: words.c.say: must be text -> write it in quotes"),
        ("words:\n  c: {say: ''}\n", "2: words.c.say: must be text -> write it in quotes"),
        ("words:\n  Abc: x\n  abc: y\n", "3: words.abc: is the same word as Abc -> keep one"),
        ("words:\n  c: x\n  c: y\n", "3: words.c: the key stands here a second time (first in line 2) -> keep one"),
        ("words:\n  '': x\n", "2: words.: a word has 1 to 40 characters on one line -> "),
        (
            "words:\n  a: {say: " + "x" * 201 + "}\n",
            "2: words.a.say: is longer than 200 characters -> make it a few words",
        ),
        ("words: {a\n", "not valid YAML"),
    ],
)
def test_a_fault_names_file_line_key_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Lexicon.load(path)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{path}:")
    assert said in caught.value.problems[0]


def test_all_faults_come_in_one_run_in_the_order_of_the_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "words:\n  a: 1\n  行长: {pinyin: x}\n  b: 2\n")
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "3", "4"]


def test_a_file_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file or directory -> set voice.lexicon to a readable file"):
        Lexicon.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("words: {é: x}".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(byte 8\) -> save the file as UTF-8"):
        Lexicon.load(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="more than a megabyte -> is this the lexicon"):
        loaded(tmp_path, "#" * 1_048_577)


def test_the_shipped_lexicon_is_valid() -> None:
    assert len(Lexicon.load(SHIPPED).entries) >= 10


def test_a_respelling_reaches_every_voice_and_an_exact_reading_those_that_take_it() -> None:
    lexicon = Lexicon(
        [
            Entry("小播", say="小波"),
            Entry("小播报", say="小薄报"),
            Entry("doge", say="狗头"),
            Entry("US", say="美国", language="zh"),
            Entry("Jensen", say="詹森", ipa="ˈdʒɛnsən"),
            Entry("还款", pinyin=("huan2", "kuan3")),
        ]
    )
    assert reading("小播报和小播说Doge，dogecoin", "zh", lexicon) == "小薄报和小波说狗头，dogecoin"
    assert reading("US和us", "zh", lexicon) == "美国和us"
    assert reading("US", "en", lexicon) == "US"
    assert reading("jensen还款3元", "zh", lexicon) == "詹森还款三元"
    assert reading("jensen还款3元", "zh", lexicon, PINYIN) == "詹森还款三元"
    assert reading("jensen还款3元", "zh", lexicon, EVERY) == "jensen还款三元"
    assert [(p.text, p.entry is not None) for p in lexicon.parts("他还款了")] == [
        ("他", False),
        ("还款", True),
        ("了", False),
    ]


def test_a_word_is_found_in_traditional_characters_too(tmp_path: Path) -> None:
    lexicon = loaded(tmp_path, "words:\n  還款: {pinyin: huan2 kuan3}\n  小寶: 小宝儿\n")
    assert [part.text for part in lexicon.parts(reading("請還款，小寶", "zh", lexicon, EVERY)) if part.entry] == [
        "还款"
    ]
    assert reading("小寶小宝", "zh", lexicon) == "小宝儿小宝儿"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("chong2", "chong2"),
        ("chóng", "chong2"),
        ("de", "de5"),
        ("lv4", "lü4"),
        ("nǚ", "nü3"),
        ("NÜ3", "nü3"),
        ("lu:e4", "lüe4"),
    ],
)
def test_a_syllable_is_read_in_all_its_spellings(written: str, read: str) -> None:
    assert syllable(written) == read


@pytest.mark.parametrize("written", ["", "4", "zhx2", "chóng2", "chong6", "chong22", "hello"])
def test_what_is_no_syllable_is_told(written: str) -> None:
    assert syllable(written) is None


def test_ssml_carries_pinyin_and_nothing_from_outside() -> None:
    lexicon = Lexicon([Entry("还款", pinyin=("huan2", "kuan3")), Entry("Jensen", say="詹森", ipa="ˈdʒɛnsən")])
    assert ssml.marked_up("Jensen说：<b>还款</b>3元 & 谢谢", "zh", lexicon, pause_ms=300) == (
        '<speak>詹森说：<phoneme alphabet="py" ph="huan2 kuan3">还款</phoneme>三元和谢谢<break time="300ms"/></speak>'
    )
    assert ssml.marked_up("😂", "zh", lexicon) == ""
    assert ssml.needed("请还款", lexicon)
    assert not ssml.needed("Jensen你好", lexicon)


def test_an_engine_is_sent_ssml_only_where_it_takes_it_and_it_helps() -> None:
    lexicon = Lexicon([Entry("还款", pinyin=("huan2", "kuan3"), say="环款")])
    taking, not_taking = ssml.reader(lexicon, takes_ssml=True), ssml.reader(lexicon, takes_ssml=False)
    assert taking("還款3元", "zh") == '<speak><phoneme alphabet="py" ph="huan2 kuan3">还款</phoneme>三元</speak>'
    assert taking("你好3", "zh") == "你好三"
    assert taking("<speak>你好</speak>", "zh") == "你好"
    assert not_taking("還款3元", "zh") == "环款三元"


@pytest.fixture(scope="module")
def alphabet() -> frozenset[str]:
    vocabulary = resources.files("broadcaster.speech").joinpath("assets/vocab.json").read_text("utf-8")
    return frozenset(json.loads(vocabulary))


def test_exact_readings_reach_the_embedded_voice(alphabet: frozenset[str]) -> None:
    shipped = Lexicon.load(SHIPPED)
    lexicon = Lexicon(
        [
            *shipped.entries,
            Entry("重庆", pinyin=("zhong4", "qing4")),
            Entry("行长", pinyin=("hang2", "zhang3")),
            Entry("Jensen", ipa="ˈdʒɛnsəʊ"),
        ]
    )
    plain, taught = Phonemiser(alphabet, None), Phonemiser(alphabet, None, lexicon)
    plain.load()
    taught.load()

    def said(phonemiser: Phonemiser, text: str, language: str = "zh") -> str:
        return " ".join(run.symbols for run in phonemiser.runs(text, language))

    assert said(plain, "还款").startswith(said(plain, "孩"))
    assert said(taught, "还款") == said(plain, "环") + said(plain, "款")
    assert said(taught, "我要还款了") == " ".join(said(plain, part) for part in ("我要", "环款", "了"))
    assert said(taught, "重庆") == said(plain, "重量")[: -len(said(plain, "量"))] + said(plain, "庆")
    assert said(taught, "行长") == said(plain, "行长"), "right without it: it must not come out otherwise"
    assert "ˈʤɛnsQ" in said(taught, "Jensen is here", "en")
    for entry in shipped.entries:
        if entry.pinyin:
            assert said(taught, entry.word) != said(plain, entry.word), "what is said right by itself needs no entry"
