"""The vocabularies: common words for labels, and names, places and things for facts, none from a data set."""

NOUNS = """acorn anchor apple apron arrow autumn badge bagel bamboo banjo barley barrel basin basket beacon
beetle bell bench bishop blanket blossom bonnet boulder branch brass breeze brick bridge bronze brook bucket
buckle bugle butter button cabin cactus camel candle canoe canvas canyon cape carpet carrot castle cedar cello
chalk cherry chestnut chimney chisel cinder circle clay cliff cloak clock cloud clover coal cobalt cocoa comet
compass copper coral cork cottage cotton cradle crane crater crayon cricket crow crown crystal curtain cypress
daisy dawn delta desert diamond dolphin domino donkey dragon drum duck dune eagle echo eel elbow elm ember
emerald engine falcon feather fern ferry fiddle finch flame flint flute fog forest fork fossil fox frost fudge
galaxy garlic garnet geyser ginger glacier globe glove goat goose granite grape gravel hammer harbor harp hawk
hazel hedge helmet heron hill hinge honey horizon horn ice igloo iris iron island ivory ivy jacket jade jaguar
jelly jewel jungle juniper kettle kite kiwi ladder lagoon lake lamp lantern lark lava lavender leaf ledge
lemon lentil lever lilac lily lime linen lion lizard lobster locket loom lotus lynx magnet mango maple marble
marsh meadow melon mint mirror mist mole moon moose moss moth mountain mulberry muffin mustard napkin nectar
needle nest nickel night nutmeg oak oasis oat ocean olive onion opal orbit orchid otter owl oyster paddle palm
panda panther papaya parrot pasture peach pear pearl pebble pelican pepper piano pigeon pillow pine pirate
planet plum pocket pollen pond poppy prairie prism pumpkin puzzle quail quartz quill rabbit radish raft rain
raven reed reef ribbon river robin rocket rope rose ruby saddle sage sail salmon salt sand sapphire satchel
scarf seal shadow shell shovel silk silver slate sleigh snail snow sparrow spice spider spoon spruce squid
stable star steam stone storm straw stream sugar summit sun swan table teapot temple thimble thistle thorn
thunder tiger timber toast topaz torch tower trumpet tulip tundra tunnel turnip turtle umbrella valley vanilla
vase velvet village vine violet violin wagon walnut walrus water wave whale wheat wheel whistle willow window
winter wolf wool yarn yew zebra zinc zipper""".split()

ADJECTIVES = """amber ancient blue bold brave brief bright broad brown calm clean clear clever cold cool
crimson crisp curious dark deep dim distant dry dusty eager early empty faint fair fancy fast fierce flat
fresh gentle giant golden grand gray great green happy heavy hollow honest huge humble icy idle jolly keen
kind large late lazy light little lively lone long loud low loyal lucky mellow merry mild modest narrow neat
new noble odd old orange pale patient plain polite proud purple quick quiet rapid rare red rich ripe rough
round royal rusty sharp shiny short shy silent simple sleepy slim slow small smooth soft solid sour steady
steep still strange strong sunny sweet swift tall tame tender thick thin tidy tiny tough vast vivid warm wet
white wide wild wise wooden yellow young""".split()

LABEL_VERBS = """add ask book browse check compare confirm connect count describe disable enable explain
export extend find fix get give hold import join leave list lock make mark move notify open pause print raise
read remind remove rename renew report request reset resume save scan schedule search see send set share show
sign start stop sync test trace transfer unlock update upload use verify view""".split()

LABEL_NOUNS = """access alert answer archive area battery benefit board branch budget cable calendar camera
catalog channel chart class code collection color contract cost course coupon cover data date deadline deposit
detail device document door draft entry error event fee field file filter folder form format group guide
history hours image item key language layout lesson level library license limit link list location log loan
map meeting member menu message mode model note notice number office option page part pass path period permit
phone photo plan point policy price printer profile program project quote range rate record report request
room route rule sample schedule score screen seat section sensor server service session signal site size
source space speed stage status step stock store style subject summary supply support survey switch system tag
target task team term test ticket time token tool topic total tour training transfer trip type unit update
user value vehicle version view visit voice volume warning window zone""".split()

# Kept out of training, so that the renamed prompts of the evaluation ask for words that were never an answer.
EVALUATION_WORDS = """almond antler axle bacon beaver biscuit bramble cabbage caramel carnival cavern cobra
coconut crab custard dagger dingo dusk easel ferret fiddler flamingo gazelle gecko goblet gourd hamlet hornet
jasmine kernel lemur locust magpie mammoth marigold mitten mosaic orchard otolith parsley peacock pistachio
plaza poodle puffin quiver raccoon raisin saffron scallop seagull spinach tadpole tangerine tapestry teacup
toucan truffle turquoise vulture waffle weasel wigwam""".split()

FIRST_NAMES = """Ada Aiko Alma Amara Andre Anton Aria Basil Bea Bruno Carla Cedric Chen Clara Dario Dina Edgar
Elif Elsa Emil Esme Farah Felix Fiona Gita Goran Greta Hanna Hugo Ida Igor Ines Ivan Jana Joel Jonas Kai Karim
Kira Lara Leon Lina Luca Mabel Malik Mara Marco Mina Mira Nadia Nils Nora Olga Omar Otto Petra Priya Quinn
Rafa Rosa Ruben Sami Sara Selma Silas Sonja Tariq Tessa Theo Tilda Uma Vera Victor Wanda Xenia Yara Yusuf Zara
Zeno""".split()

SURNAMES = """Abbot Adler Amaro Baker Barlow Becker Bishop Blake Bosco Brandt Carver Castro Chang Clarke Cole
Costa Dahl Dalton Dietz Duarte Egan Ellis Farrow Ferro Fischer Flint Garcia Gibbs Grant Haas Harper Hayes Holm
Ito Jansen Jimenez Keller Kemp Klein Kovac Larsen Lindt Lopez Marsh Mason Mendez Moreau Nash Novak Ortiz Osman
Parker Patel Pavel Quist Rahman Reyes Ritter Rossi Sands Santos Shaw Silva Sokol Stone Tanaka Thorne Turner
Ueda Vance Vega Voss Walsh Weber Wolfe Yates Young Zhang Ziegler""".split()

TOWNS = """Aarhus Athens Austin Basel Bergen Berlin Bilbao Boston Bristol Cairo Chicago Cork Dallas Denver
Dublin Fresno Geneva Ghent Hanoi Houston Izmir Kyoto Leeds Lima Lisbon London Lyon Madrid Miami Milan Munich
Nairobi Naples Oslo Paris Perth Porto Prague Quito Riga Rome Seattle Seville Sofia Tampa Tokyo Toronto Turin
Utrecht Vienna Warsaw York Zagreb""".split()

PRODUCTS = """backpack blender bookcase bottle camera candle carpet chair clock coat desk drill fan guitar
heater helmet jacket kettle keyboard knife lamp mattress microscope mirror mixer monitor mug notebook oven pan
pillow printer radio razor rug saw scarf scooter shelf shovel sofa speaker stove suitcase sweater teapot
telescope tent toaster tripod vacuum vase wallet watch""".split()

PLACES = """archive aquarium bakery bank barber bookshop cafe chapel cinema clinic dentist gallery garage gym
laundry library market museum nursery observatory pharmacy planetarium pool sauna school stadium studio
theater workshop zoo""".split()

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
COLORS = "black blue brown cream gold gray green navy orange pink purple red silver teal violet white yellow".split()
JOBS = """accountant architect baker carpenter chef coach dentist designer doctor driver editor electrician
engineer florist gardener guide janitor lawyer librarian manager mechanic nurse painter pilot plumber
receptionist sailor teacher technician translator""".split()

ONSETS = "b bl br c ch cl d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sk sl sn st t th tr v w y z".split()
VOWELS = "a a a e e e i i o o u ai ea oa oo".split()
CODAS = ["", "", "", "l", "n", "m", "r", "s", "t", "x", "nd", "rn", "sh", "st", "lt", "ng", "ck", "b", "d", "p"]


def invented_word(random, syllables=None):
    """Returns a pronounceable word that is most likely in no dictionary."""
    count = syllables or random.choice((1, 2, 2, 2, 3))
    parts = [random.choice(ONSETS) + random.choice(VOWELS) for _ in range(count)]
    return "".join(parts) + random.choice(CODAS)


def plain_word(random):
    """Returns a word for a label: a common one, or an invented one so that every spelling is met."""
    drawn = random.random()
    if drawn < 0.5:
        return random.choice(NOUNS)
    return random.choice(ADJECTIVES) if drawn < 0.65 else invented_word(random)


def first_name(random):
    """Returns a first name."""
    return random.choice(FIRST_NAMES) if random.random() < 0.75 else invented_word(random, 2).capitalize()


def person(random):
    """Returns a first name and a surname."""
    surname = random.choice(SURNAMES) if random.random() < 0.7 else invented_word(random).capitalize()
    return f"{first_name(random)} {surname}"


def town(random):
    """Returns the name of a town, real or invented."""
    drawn = random.random()
    if drawn < 0.55:
        return random.choice(TOWNS)
    name = invented_word(random, 2).capitalize()
    return name if drawn < 0.8 else random.choice(("Port {}", "Upper {}", "{} Bay", "{} Hill", "New {}")).format(name)


def brand(random):
    """Returns the name of a firm or a brand."""
    name = invented_word(random, 2).capitalize()
    return name if random.random() < 0.6 else f"{name} {random.choice(NOUNS).capitalize()}"


def product(random):
    """Returns a thing that can be bought."""
    thing = random.choice(PRODUCTS)
    drawn = random.random()
    if drawn < 0.35:
        return f"{random.choice(ADJECTIVES)} {thing}"
    return f"{brand(random)} {thing}" if drawn < 0.7 else f"{random.choice(COLORS)} {thing}"


def place(random):
    """Returns a place that has opening hours."""
    name = random.choice(PLACES)
    return name if random.random() < 0.5 else f"{random.choice(NOUNS)} {name}"


def clock_time(random):
    """Returns a time of day."""
    hour, minute = random.randint(1, 12), random.choice((0, 0, 15, 30, 45, 5, 20, 50))
    if random.random() < 0.5:
        return f"{hour} {random.choice(('am', 'pm'))}"
    return f"{random.randint(6, 22)}:{minute:02d}"


def date(random):
    """Returns a day of the year."""
    return f"{random.choice(MONTHS)} {random.randint(1, 28)}" if random.random() < 0.6 else random.choice(WEEKDAYS)


def price(random):
    """Returns an amount of money."""
    amount = random.randint(2, 990)
    return random.choice((f"${amount}", f"${amount}", f"{amount} euros", f"${amount}.50", f"${amount}.99"))


def code(random):
    """Returns a code of letters and digits, such as `B27`, `QX-14` or `7F`."""
    letters = "".join(random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(random.choice((1, 1, 2, 2, 3))))
    digits = str(random.randint(1, random.choice((9, 99, 99, 999))))
    return random.choice((letters + digits, letters + digits, f"{letters}-{digits}", f"{digits}{letters}"))


def order_number(random):
    """Returns a number of five to eight digits, sometimes behind letters."""
    digits = str(random.randint(10**4, 10 ** random.choice((5, 6, 8)) - 1))
    return digits if random.random() < 0.7 else f"{random.choice(('A', 'K', 'RX', 'ZT', 'M'))}{digits}"


def with_article(thing):
    """Returns the thing behind `a` or `an`."""
    return f"an {thing}" if thing[0].lower() in "aeiou" else f"a {thing}"


def sample_distinct(random, draw, count, taken=()):
    """Returns `count` different values of `draw(random)`, none of them in `taken`."""
    found = []
    while len(found) < count:
        value = draw(random)
        if value not in found and value not in taken:
            found.append(value)
    return found
