"""English words that could also be read as pinyin (`made` as ma de): not taken for it. Data only.

Chosen by hand from all the words of an English dictionary that are made of pinyin syllables only.
"""

from __future__ import annotations

from typing import Final

ENGLISH: Final = frozenset(
    """
    an anger angle ante anti antique bade bake balance bale ban banana bane bang bare base baseline bate beige ben
    bike bile bin binding bing binge bite bo bode bole bone bore bushier bute buying cabin cage cake came can cancan
    candidate cane canteen capitalise capitalize care career case censure chai chaise chance change chase cheer chi
    chili chime china ciao cinema cite citizen couture cuisine cure cute cutie dale damage dame dan dance dang
    danger dare data database date dating daze dean debate decade decide deciding dedicate deduce deer defame
    defence defending defense delegate delete delicate deluge demanding demo demote depose deride desire detailing
    dice die dime dine ding dining dire disuse dude dun dunce dune duo durance encase endurance endure engage
    enhance ensure entangle entice entire fa facade face fade fake fame fan fancier fang fare fate faze fen fence
    fore foreman fume fumigate fuse future gage gala gale game gaming gang gate gaze gen gene genie genre gong gouge
    guan guidance guide guideline guise gun gunman guru ha han hang hanger hare hate haze he hen here heritage
    hesitate house huge hui human humane hunting jingle juju june ka kaiju kaizen kane karaoke ken lace lake lame
    lance landing lane language lase late laze lean legalize legate legume lei leisure lemonade lending lice licence
    license lie lien like lime limousine line linen ling linger lining linkage lite long longer longtime louse luce
    luge lune lunge lure lute ma mace machine made magazine mage mailing maize make malaise male malice mama man
    manage mandate mandating mane manga mange mangle manicure manipulate manna manning manure mao mare marina
    marinate marine mate mature maze me mean meantime media mediate medicine meditate meme memo memorise memorize
    men menace mending menu mere meta mete mi miao mice mike mile mime min mince mine miner mingle mini minimise
    minimize mining minute minuteman mite mo mobile mode module molecule momo more mouse mu mule muse musician
    mutate mute name nan nature negate nene nice niche nine nuance nude nuke ou outage outing pa pace page pale pan
    panda pane pang panini pare parenting pate patience patina pen pence pending peng penne pi pie piece pier pierce
    pike pile pin pine ping pinning pique po poke pole police policeman polite politician pone populate pore pose
    positing pouting puma pure purine qi quantize queen queer ran rang range ranger ranting re rebuke recede
    receding recite recuse reduce refuge refuse refute regale regulate rehang relate relaxing reliance remaining
    remake remote ren rename repo repose repute rerun resale reside resize resume retake retaken retire rice ride
    riding ripen rise risen rite rouge route routine rude rule ruling run rune running runtime sabotage safari saga
    sage sai sailing sake sale saline salute same samosa sane sang sari sate satire saying secure sedate seduce seen
    semen semi senate sending sense serenade serene sesame seta sewage shade shake shaken shale shaman shame
    shanghai share she sheer shen shine shining shire shun si side sideline siding silence silver simile simulate
    sire siren site size song sou souse suicide suite sumo sun sunken sunning sunrise sunshine sure sushi ta tabi
    tai tailing take taken tale tame tan tang tangerine tangle tare taxi taxing teen tenure ti tide tie tier tile
    time timeline timepiece timing tine ting tingle tire titan tong tuba tui tuna tune tuning tutu wade wage wailing
    waiting wake waken wale wan wane wanna wanting ware warehouse wasabi wei wen woke woken woman women wore wu xi
    xu yang ye yeti yi yin you yuan ze zen zeta
""".split()
)
