"""The bilingual lexicon of the sample grammar, as tables to be read; entries.py parses them."""

# Nouns. A heading [kind: tags] gives the kind (which adjectives fit) and the tags (what one can do with it)
# of the lines below it. A line: article singular[~ending of the weak declension] / plural = English [/ plural]
# [+ more tags]. No plural: a mass noun. `pl` in place of the article: plural only.
NOUNS = """
[person: adult]
der Mann / Männer = man / men
die Frau / Frauen = woman / women
der Lehrer / Lehrer = teacher + relation
die Lehrerin / Lehrerinnen = teacher + relation
der Arzt / Ärzte = doctor
die Ärztin / Ärztinnen = doctor
der Zahnarzt / Zahnärzte = dentist
der Nachbar~n / Nachbarn = neighbour + relation
die Nachbarin / Nachbarinnen = neighbour + relation
der Freund / Freunde = friend + relation
die Freundin / Freundinnen = friend + relation
der Kollege~n / Kollegen = colleague + relation
die Kollegin / Kolleginnen = colleague + relation
der Chef / Chefs = boss / bosses + relation
der Student~en / Studenten = student
die Studentin / Studentinnen = student
der Bäcker / Bäcker = baker
die Verkäuferin / Verkäuferinnen = shop assistant
der Koch / Köche = cook
die Köchin / Köchinnen = cook
der Bauer~n / Bauern = farmer
die Bäuerin / Bäuerinnen = farmer
der Gärtner / Gärtner = gardener
der Polizist~en / Polizisten = policeman / policemen
der Kellner / Kellner = waiter
die Kellnerin / Kellnerinnen = waitress / waitresses
der Maler / Maler = painter + artist
die Malerin / Malerinnen = painter + artist
der Musiker / Musiker = musician + artist
die Sängerin / Sängerinnen = singer + artist
der Schauspieler / Schauspieler = actor + artist
der Gast / Gäste = guest + relation
der Tourist~en / Touristen = tourist
der Mechaniker / Mechaniker = mechanic
die Königin / Königinnen = queen
die Richterin / Richterinnen = judge
der Anwalt / Anwälte = lawyer
die Journalistin / Journalistinnen = journalist + artist
der Fotograf~en / Fotografen = photographer + artist
der Briefträger / Briefträger = postman / postmen
der Pilot~en / Piloten = pilot
die Krankenschwester / Krankenschwestern = nurse

[person: child]
das Kind / Kinder = child / children
der Junge~n / Jungen = boy
das Mädchen / Mädchen = girl
der Schüler / Schüler = pupil
die Schülerin / Schülerinnen = pupil

[kin: kin]
der Vater / Väter = father
die Mutter / Mütter = mother
der Bruder / Brüder = brother + plural
die Schwester / Schwestern = sister + plural
der Sohn / Söhne = son + plural
die Tochter / Töchter = daughter + plural
der Onkel / Onkel = uncle
die Tante / Tanten = aunt
der Großvater / Großväter = grandfather
die Großmutter / Großmütter = grandmother
der Cousin / Cousins = cousin
die Cousine / Cousinen = cousin
der Enkel / Enkel = grandson + plural
die Enkelin / Enkelinnen = granddaughter + plural
pl Eltern = parents
pl Großeltern = grandparents

[animal: pet keepable paintable]
der Hund / Hunde = dog + hunter
die Katze / Katzen = cat + hunter climber
das Kaninchen / Kaninchen = rabbit + prey
der Papagei / Papageien = parrot
der Hamster / Hamster = hamster

[animal: farm keepable paintable]
das Pferd / Pferde = horse
die Kuh / Kühe = cow
das Schaf / Schafe = sheep / sheep
die Ziege / Ziegen = goat
das Schwein / Schweine = pig
das Huhn / Hühner = hen + prey
die Ente / Enten = duck + prey
die Gans / Gänse = goose / geese + prey
der Esel / Esel = donkey

[animal: wild paintable sight]
der Fuchs / Füchse = fox / foxes + hunter
der Hase~n / Hasen = hare + prey
die Maus / Mäuse = mouse / mice + prey
der Vogel / Vögel = bird + prey
der Bär~en / Bären = bear + climber
der Affe~n / Affen = monkey + climber
der Elefant~en / Elefanten = elephant
der Löwe~n / Löwen = lion
der Igel / Igel = hedgehog
der Frosch / Frösche = frog + prey
das Eichhörnchen / Eichhörnchen = squirrel + prey climber
die Eule / Eulen = owl + hunter

[food: edible buyable serving portable]
der Apfel / Äpfel = apple + pickable fruit plural
die Birne / Birnen = pear + pickable fruit
die Banane / Bananen = banana + fruit
die Orange / Orangen = orange + pickable fruit
die Erdbeere / Erdbeeren = strawberry + pickable fruit plural
die Kirsche / Kirschen = cherry + pickable fruit plural
die Tomate / Tomaten = tomato / tomatoes + pickable fruit cookable
die Gurke / Gurken = cucumber + pickable fruit
die Karotte / Karotten = carrot + cookable
das Ei / Eier = egg + cookable
das Brötchen / Brötchen = roll + bakeable
der Keks / Kekse = biscuit + bakeable plural
der Pfannkuchen / Pfannkuchen = pancake + plural orderable

[food: edible serving orderable]
der Kuchen / Kuchen = cake + bakeable buyable portable
die Torte / Torten = tart + bakeable buyable portable
der Apfelkuchen / Apfelkuchen = apple cake + bakeable buyable portable
der Käsekuchen / Käsekuchen = cheese cake + bakeable buyable portable
der Schokoladenkuchen / Schokoladenkuchen = chocolate cake + bakeable buyable portable
die Pizza / Pizzas = pizza + bakeable
die Suppe / Suppen = soup + cookable
die Tomatensuppe / Tomatensuppen = tomato soup + cookable
die Hühnersuppe / Hühnersuppen = chicken soup + cookable
der Salat / Salate = salad + portable
der Kartoffelsalat / Kartoffelsalate = potato salad + portable
die Wurst / Würste = sausage + buyable portable

[dish: edible buyable]
das Brot = bread + bakeable
der Käse = cheese
das Fleisch = meat + cookable orderable fodder
der Reis = rice + cookable orderable
der Fisch = fish + cookable orderable fodder
das Gemüse = vegetables + cookable orderable
das Obst = fruit
der Honig = honey
die Schokolade = chocolate
die Marmelade = jam

[drink: drinkable orderable buyable]
das Wasser = water
der Tee = tea
der Kaffee = coffee
die Milch = milk
der Kakao = cocoa
die Limonade = lemonade
der Saft = juice
der Apfelsaft = apple juice
der Orangensaft = orange juice
das Mineralwasser = mineral water

[fodder: fodder]
das Gras = grass
das Heu = hay

[book: readable buyable losable lendable gift portable thing lies]
das Buch / Bücher = book + writable text plural
die Zeitung / Zeitungen = newspaper
die Zeitschrift / Zeitschriften = magazine + plural
der Roman / Romane = novel + writable text plural
das Kochbuch / Kochbücher = cookbook + writable
das Kinderbuch / Kinderbücher = children's book + writable
das Märchenbuch / Märchenbücher = storybook
das Wörterbuch / Wörterbücher = dictionary + writable
der Reiseführer / Reiseführer = travel guide + writable
[reading: readable writable text]
der Brief / Briefe = letter + sendable losable lies plural openable
die Postkarte / Postkarten = postcard + sendable losable lies plural buyable
die Nachricht / Nachrichten = message + sendable plural
das Gedicht / Gedichte = poem + plural
die Geschichte / Geschichten = story + story plural topic
das Märchen / Märchen = fairy tale + story plural
der Artikel / Artikel = article + plural
der Bericht / Berichte = report
die Einladung / Einladungen = invitation + sendable losable

[clothes: clothes buyable losable washable gift]
die Jacke / Jacken = jacket
der Mantel / Mäntel = coat + hangable
der Hut / Hüte = hat + hangable
das Kleid / Kleider = dress / dresses
das Hemd / Hemden = shirt
der Pullover / Pullover = jumper
der Schal / Schals = scarf / scarves
die Mütze / Mützen = cap
die Bluse / Blusen = blouse
der Rock / Röcke = skirt
der Regenmantel / Regenmäntel = raincoat + hangable
die Winterjacke / Winterjacken = winter jacket
das Sommerkleid / Sommerkleider = summer dress / summer dresses

[thing: thing buyable]
der Koffer / Koffer = suitcase + losable luggage carryable openable lendable
die Tasche / Taschen = bag + losable luggage carryable openable lendable
der Rucksack / Rucksäcke = rucksack + losable luggage carryable openable lendable
die Schultasche / Schultaschen = school bag + losable luggage carryable openable
der Korb / Körbe = basket + carryable stands
die Kiste / Kisten = box / boxes + carryable openable stands buildable
die Flasche / Flaschen = bottle + carryable openable stands breakable
der Regenschirm / Regenschirme = umbrella + losable lendable portable
die Decke / Decken = blanket + washable lendable portable lies
das Kissen / Kissen = cushion + washable lies
das Handtuch / Handtücher = towel + washable portable lies
der Schlüssel / Schlüssel = key + losable lies
der Autoschlüssel / Autoschlüssel = car key + losable lies
der Hausschlüssel / Hausschlüssel = house key + losable lies
die Kerze / Kerzen = candle + gift stands
der Ball / Bälle = ball + losable gift catchable lies
die Puppe / Puppen = doll + losable gift lies
das Spielzeug / Spielzeuge = toy + losable gift
das Geschenk / Geschenke = present + openable wrappable sendable lies
das Geburtstagsgeschenk / Geburtstagsgeschenke = birthday present + openable wrappable
das Paket / Pakete = parcel + openable wrappable sendable carryable
die Vase / Vasen = vase + breakable gift stands
der Teller / Teller = plate + washable breakable stands
die Tasse / Tassen = cup + washable breakable stands gift
die Kaffeetasse / Kaffeetassen = coffee cup + washable breakable stands
das Weinglas / Weingläser = wine glass / wine glasses + washable breakable stands
das Messer / Messer = knife / knives + washable lies
die Gabel / Gabeln = fork + washable lies
der Löffel / Löffel = spoon + washable lies
der Topf / Töpfe = pot + washable stands
der Hammer / Hammer = hammer + lendable lies
die Leiter / Leitern = ladder + lendable carryable
das Bild / Bilder = picture + paintable hangable gift
der Kalender / Kalender = calendar + hangable
die Karte / Karten = map + losable lendable hangable
der Ring / Ringe = ring + losable gift
die Briefmarke / Briefmarken = stamp + collectable
die Münze / Münzen = coin + collectable
die Muschel / Muscheln = shell + collectable

[device: thing buyable device repairable]
die Lampe / Lampen = lamp + switchable stands
das Radio / Radios = radio + switchable stands
der Fernseher / Fernseher = television + switchable
der Computer / Computer = computer + switchable lendable
der Drucker / Drucker = printer + switchable
die Uhr / Uhren = clock + hangable
die Kamera / Kameras = camera + losable lendable gift
das Handy / Handys = mobile phone + losable gift lies switchable
die Waschmaschine / Waschmaschinen = washing machine + switchable
die Kaffeemaschine / Kaffeemaschinen = coffee machine + switchable stands

[furniture: thing buyable surface buildable]
der Tisch / Tische = table
der Küchentisch / Küchentische = kitchen table
der Schreibtisch / Schreibtische = desk
der Stuhl / Stühle = chair + seat
das Sofa / Sofas = sofa + seat lying
das Bett / Betten = bed + seat lying
das Regal / Regale = shelf / shelves
der Teppich / Teppiche = carpet

[vehicle: rentable repairable lockable vehicle]
das Auto / Autos = car + by washable
das Fahrrad / Fahrräder = bicycle + by lendable
das Motorrad / Motorräder = motorbike + by
das Boot / Boote = boat + by buildable
[transport: transport by]
der Bus / Busse = bus / buses
der Zug / Züge = train
das Taxi / Taxis = taxi
die Straßenbahn / Straßenbahnen = tram
das Schiff / Schiffe = ship

[plant: plantable paintable]
der Baum / Bäume = tree + tree
der Apfelbaum / Apfelbäume = apple tree + tree
der Kirschbaum / Kirschbäume = cherry tree + tree
der Birnbaum / Birnbäume = pear tree + tree
[flower: plantable paintable pickable waterable]
die Blume / Blumen = flower + plural
die Rose / Rosen = rose
die Tulpe / Tulpen = tulip
die Sonnenblume / Sonnenblumen = sunflower

[part: openable closable cleanable]
die Tür / Türen = door + lockable
das Fenster / Fenster = window
die Haustür / Haustüren = front door + lockable
das Küchenfenster / Küchenfenster = kitchen window
das Gartentor / Gartentore = garden gate + lockable

[building: buildable paintable sight]
das Haus / Häuser = house + rentable lockable
der Turm / Türme = tower
die Brücke / Brücken = bridge
das Schloss / Schlösser = castle
die Wohnung / Wohnungen = flat + rentable cleanable

[event: event]
das Konzert / Konzerte = concert + starts lasts
das Fest / Feste = party + plan celebration starts
die Reise / Reisen = trip + plan lasts dream
der Ausflug / Ausflüge = excursion + plan lasts dream
das Spiel / Spiele = game + starts lasts winnable
das Fußballspiel / Fußballspiele = football match / football matches + starts lasts winnable
der Wettbewerb / Wettbewerbe = competition + starts winnable
der Geburtstag / Geburtstage = birthday + celebration
das Jubiläum / Jubiläen = anniversary + celebration plan
die Prüfung / Prüfungen = exam + starts lasts
der Film / Filme = film + starts lasts topic film
die Hochzeit / Hochzeiten = wedding + plan celebration dream
der Sprachkurs / Sprachkurse = language course + starts lasts

[abstract: question]
die Frage / Fragen = question + plural
die Regel / Regeln = rule + plural
das Problem / Probleme = problem + topic problem
die Aufgabe / Aufgaben = task + plural problem
der Satz / Sätze = sentence + plural text
[abstract: song]
das Lied / Lieder = song + plural
[abstract: meal]
das Frühstück = breakfast
das Mittagessen = lunch
das Abendessen = dinner
"""

# Places: like nouns, then | preposition and English preposition "where" | the same for "where to".
PLACES = """
[room]
die Küche / Küchen = kitchen + tidy cleanable kitchen | in in | in into
das Wohnzimmer / Wohnzimmer = living room + tidy cleanable | in in | in into
das Schlafzimmer / Schlafzimmer = bedroom + tidy cleanable | in in | in into
das Badezimmer / Badezimmer = bathroom + tidy cleanable | in in | in into
das Kinderzimmer / Kinderzimmer = children's room + tidy cleanable | in in | in into
der Keller / Keller = cellar + tidy cleanable | in in | in into
die Garage / Garagen = garage + garage tidy cleanable buildable | in in | in into
das Büro / Büros = office + tidy cleanable work | in in | in into
[outdoors]
der Garten / Gärten = garden + leisure garden | in in | in into
der Park / Parks = park + leisure | in in | in into
der Wald / Wälder = forest + nature | in in | in into
die Wiese / Wiesen = meadow + leisure | auf in | auf into
der Spielplatz / Spielplätze = playground + leisure | auf in | zu to
der Strand / Strände = beach / beaches + leisure nature | an on | zu to
der See / Seen = lake + leisure nature water | an at | zu to
der Fluss / Flüsse = river + nature water | an by | zu to
die Insel / Inseln = island + nature | auf on | auf to
[public]
die Schule / Schulen = school + work meeting | in at | in to
das Kino / Kinos = cinema + meeting | in at | in to
das Theater / Theater = theatre + meeting work | in at | in to
das Museum / Museen = museum + meeting sight visitable work | in in | in to
die Bibliothek / Bibliotheken = library + meeting work library | in in | in to
das Restaurant / Restaurants = restaurant + meeting eatery work | in in | in to
das Café / Cafés = café + meeting eatery work | in in | in to
das Hotel / Hotels = hotel + eatery work sight | in in | in to
der Supermarkt / Supermärkte = supermarket + meeting work | in in | in to
der Markt / Märkte = market + meeting shop | auf at | auf to
das Kaufhaus / Kaufhäuser = department store + meeting shop work | in in | in to
die Bäckerei / Bäckereien = bakery + work | in in | in to
die Apotheke / Apotheken = pharmacy + work | in in | in to
die Kirche / Kirchen = church + meeting sight visitable | in in | in to
das Krankenhaus / Krankenhäuser = hospital + work | in in | in to
der Zoo / Zoos = zoo + work meeting visitable leisure | in in | in to
das Schwimmbad / Schwimmbäder = swimming pool + meeting water | in at | in to
das Stadion / Stadien = stadium + meeting | in in | in to
die Stadt / Städte = city + shop meeting | in in | in into
der Bahnhof / Bahnhöfe = station + meeting pickup | an at | zu to
der Flughafen / Flughäfen = airport + meeting pickup work | an at | zu to
die Bushaltestelle / Bushaltestellen = bus stop + meeting pickup | an at | zu to
der Bauernhof / Bauernhöfe = farm + work visitable | auf on | auf to
das Rathaus / Rathäuser = town hall + sight work | in in | zu to
"""

CITIES = """
Berlin = Berlin
Hamburg = Hamburg
München = Munich
Köln = Cologne
Dresden = Dresden
Bremen = Bremen
Wien = Vienna
Salzburg = Salzburg
Zürich = Zurich
Rom = Rome
Mailand = Milan
London = London
Madrid = Madrid
Athen = Athens
Lissabon = Lisbon
Warschau = Warsaw
Prag = Prague
Kopenhagen = Copenhagen
"""
COUNTRIES = """
Deutschland = Germany
Österreich = Austria
Frankreich = France
Italien = Italy
Spanien = Spain
Polen = Poland
Dänemark = Denmark
Norwegen = Norway
Griechenland = Greece
die Schweiz = Switzerland
die Türkei = Turkey
"""
MEN = "Peter Paul Martin Stefan Jan Tim Leon Daniel Karl Otto David Simon Robert Anton Jakob"
WOMEN = "Anna Maria Julia Laura Lena Sophie Eva Emma Clara Nina Paula Marie Sarah Katharina Johanna"
SURNAMES = "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Hoffmann Neumann"

# Things named without an article: German = English.
LANGUAGES = "Deutsch = German, Englisch = English, Französisch = French, Spanisch = Spanish, Italienisch = Italian"
GAMES = """Fußball = football, Tennis = tennis, Schach = chess, Karten = cards, Handball = handball,
Klavier = the piano, Gitarre = the guitar, Geige = the violin, Flöte = the flute"""
TOPICS = "Musik = music, Kunst = art, Sport = sport, Politik = politics, Mathematik = mathematics, Biologie = biology"

# Verbs: infinitive (prefix·stem, `sich` for reflexives) | er/sie/es | participle (* with sein) | English base/past/
# participle and particles | subject | frame | options.
# Frame: acc:, dat:, to: (dative with English "to") or preposition+case=English: with the tags of the noun (without English: a place, SPOTS);
# loc:, dir: ask for a place; name: for what stands without an article. Options: at:tags adds a place now and then, `state` has no progressive,
# imperative or modal, `perceive` no progressive or imperative, `past` is said of the past only, `rare` of no habit, `by` takes a means
# of transport, an adverb of manner that suits.
VERBS = """
lesen | liest | gelesen | read/read/read | person | acc:readable | at:leisure,library langsam leise
schreiben | schreibt | geschrieben | write/wrote/written | person | acc:writable | at:leisure,library langsam schnell
kaufen | kauft | gekauft | buy/bought/bought | person | acc:buyable | at:shop
verkaufen | verkauft | verkauft | sell/sold/sold | adult | acc:buyable | at:shop
suchen | sucht | gesucht | look/looked/looked for | person | acc:losable |
finden | findet | gefunden | find/found/found | person | acc:losable | past at:leisure,meeting
verlieren | verliert | verloren | lose/lost/lost | person | acc:losable | past at:leisure,meeting
vergessen | vergisst | vergessen | forget/forgot/forgotten | person | acc:losable | past
essen | isst | gegessen | eat/ate/eaten | person | acc:edible | at:eatery,kitchen langsam schnell
trinken | trinkt | getrunken | drink/drank/drunk | person | acc:drinkable | at:eatery,kitchen
kochen | kocht | gekocht | cook/cooked/cooked | adult | acc:cookable | at:kitchen
backen | backt | gebacken | bake/baked/baked | adult | acc:bakeable | at:kitchen
probieren | probiert | probiert | try/tried/tried | person | acc:edible | at:eatery
bestellen | bestellt | bestellt | order/ordered/ordered | person | acc:orderable | at:eatery
bezahlen | bezahlt | bezahlt | pay/paid/paid for | adult | acc:buyable |
waschen | wäscht | gewaschen | wash/washed/washed | person | acc:washable | schnell
putzen | putzt | geputzt | clean/cleaned/cleaned | adult | acc:cleanable | schnell gründlich
reparieren | repariert | repariert | repair/repaired/repaired | adult | acc:repairable | at:garage schnell
malen | malt | gemalt | paint/painted/painted | person | acc:paintable | at:leisure
zeichnen | zeichnet | gezeichnet | draw/drew/drawn | person | acc:paintable | at:leisure langsam
fotografieren | fotografiert | fotografiert | photograph/photographed/photographed | person | acc:sight |
bauen | baut | gebaut | build/built/built | adult | acc:buildable | rare
öffnen | öffnet | geöffnet | open/opened/opened | person | acc:openable | vorsichtig langsam leise
schließen | schließt | geschlossen | close/closed/closed | person | acc:closable | leise vorsichtig
tragen | trägt | getragen | carry/carried/carried | person | acc:carryable | vorsichtig
tragen | trägt | getragen | wear/wore/worn | person | acc:clothes | state
füttern | füttert | gefüttert | feed/fed/fed | person | acc:pet,farm |
streicheln | streichelt | gestreichelt | stroke/stroked/stroked | person | acc:pet | vorsichtig
lieben | liebt | geliebt | love/loved/loved | person | acc:kin,keepable | state
kennen | kennt | gekannt | know/knew/known | person | acc:adult,child | state
sehen | sieht | gesehen | see/saw/seen | person | acc:adult,child,wild | perceive at:leisure,meeting
besuchen | besucht | besucht | visit/visited/visited | person | acc:adult,kin,visitable |
treffen | trifft | getroffen | meet/met/met | person | acc:adult,kin | at:meeting
fragen | fragt | gefragt | ask/asked/asked | person | acc:adult,kin |
grüßen | grüßt | gegrüßt | greet/greeted/greeted | person | acc:adult,child | höflich
umarmen | umarmt | umarmt | hug/hugged/hugged | person | acc:kin |
loben | lobt | gelobt | praise/praised/praised | adult | acc:adult,child |
brauchen | braucht | gebraucht | need/needed/needed | person | acc:thing,clothes | state
haben | hat | gehabt | have/had/had | person | acc:keepable,device,vehicle,losable | state
verstehen | versteht | verstanden | understand/understood/understood | person | acc:question,text | state
lernen | lernt | gelernt | learn/learned/learned | person | name:languages | at:library
spielen | spielt | gespielt | play/played/played | person | name:games | at:leisure
singen | singt | gesungen | sing/sang/sung | person | acc:song | laut leise
pflanzen | pflanzt | gepflanzt | plant/planted/planted | adult | acc:plantable | at:garden rare
pflücken | pflückt | gepflückt | pick/picked/picked | person | acc:pickable | at:garden
gießen | gießt | gegossen | water/watered/watered | person | acc:waterable | vorsichtig
übersetzen | übersetzt | übersetzt | translate/translated/translated | adult | acc:text | langsam schnell
holen | holt | geholt | fetch/fetched/fetched | person | acc:carryable,furniture | schnell
packen | packt | gepackt | pack/packed/packed | person | acc:luggage | schnell
sammeln | sammelt | gesammelt | collect/collected/collected | person | acc:collectable |
fangen | fängt | gefangen | catch/caught/caught | child | acc:catchable,prey | at:leisure
jagen | jagt | gejagt | chase/chased/chased | hunter | acc:prey | at:garden
fressen | frisst | gefressen | eat/ate/eaten | animal | acc:fodder | langsam
verstecken | versteckt | versteckt | hide/hid/hidden | person | acc:gift,losable | schnell
zerbrechen | zerbricht | zerbrochen | break/broke/broken | person | acc:breakable | past at:kitchen
vermissen | vermisst | vermisst | miss/missed/missed | person | acc:kin,relation | state
benutzen | benutzt | benutzt | use/used/used | person | acc:device |
mieten | mietet | gemietet | rent/rented/rented | adult | acc:rentable | rare
feiern | feiert | gefeiert | celebrate/celebrated/celebrated | person | acc:celebration | at:eatery
gewinnen | gewinnt | gewonnen | win/won/won | person | acc:winnable | past
planen | plant | geplant | plan/planned/planned | adult | acc:plan | sorgfältig
wecken | weckt | geweckt | wake/woke/woken | person | acc:kin,child | leise vorsichtig
an·rufen | ruft | angerufen | call/called/called | person | acc:adult,kin |
ein·laden | lädt | eingeladen | invite/invited/invited | person | acc:adult,kin,child |
ab·holen | holt | abgeholt | pick/picked/picked up | adult | acc:adult,kin,child | at:pickup
an·ziehen | zieht | angezogen | put/put/put on | person | acc:clothes | schnell
aus·ziehen | zieht | ausgezogen | take/took/taken off | person | acc:clothes | schnell
an·probieren | probiert | anprobiert | try/tried/tried on | person | acc:clothes | at:shop
um·tauschen | tauscht | umgetauscht | exchange/exchanged/exchanged | adult | acc:clothes,device | rare
an·machen | macht | angemacht | turn/turned/turned on | person | acc:switchable |
aus·machen | macht | ausgemacht | turn/turned/turned off | person | acc:switchable |
auf·räumen | räumt | aufgeräumt | tidy/tidied/tidied up | person | acc:tidy | gründlich schnell
mit·bringen | bringt | mitgebracht | bring/brought/brought along | person | acc:portable |
mit·nehmen | nimmt | mitgenommen | take/took/taken along | person | acc:portable |
auf·hängen | hängt | aufgehängt | hang/hung/hung up | adult | acc:hangable | vorsichtig
weg·werfen | wirft | weggeworfen | throw/threw/thrown away | person | acc:losable,clothes |
zurück·geben | gibt | zurückgegeben | give/gave/given back | person | acc:lendable |
aus·leihen | leiht | ausgeliehen | borrow/borrowed/borrowed | person | acc:lendable |
aus·suchen | sucht | ausgesucht | choose/chose/chosen | person | acc:buyable | at:shop sorgfältig
vor·bereiten | bereitet | vorbereitet | prepare/prepared/prepared | adult | acc:plan,meal | sorgfältig
ein·packen | packt | eingepackt | wrap/wrapped/wrapped up | person | acc:wrappable | vorsichtig schnell
ab·schließen | schließt | abgeschlossen | lock/locked/locked | person | acc:lockable |
auf·essen | isst | aufgegessen | eat/ate/eaten up | person | acc:fruit,bakeable | schnell
auf·stehen | steht | *aufgestanden | get/got/got up | person | | langsam schnell
auf·wachen | wacht | *aufgewacht | wake/woke/woken up | person | |
ein·schlafen | schläft | *eingeschlafen | fall/fell/fallen asleep | person | | at:room
fern·sehen | sieht | ferngesehen | watch/watched/watched television | person | | at:room
ein·kaufen | kauft | eingekauft | shop/shopped/shopped | person | | at:shop
an·kommen | kommt | *angekommen | arrive/arrived/arrived | person | in+dat=in:cities | past
zurück·kommen | kommt | *zurückgekommen | come/came/come back | person | aus+dat=from:cities,countries |
um·ziehen | zieht | *umgezogen | move/moved/moved | adult | nach+dat=to:cities | rare
teil·nehmen | nimmt | teilgenommen | take/took/taken part | person | an+dat=in:winnable |
nach·denken | denkt | nachgedacht | think/thought/thought | person | über+acc=about:question,topic | gründlich
zu·hören | hört | zugehört | listen/listened/listened to | person | dat:adult,kin |
sich aus·ruhen | ruht | ausgeruht | rest/rested/rested | person | | at:room,leisure
helfen | hilft | geholfen | help/helped/helped | person | dat:adult,kin,child | at:garden,kitchen
danken | dankt | gedankt | thank/thanked/thanked | person | dat:adult,kin | höflich
antworten | antwortet | geantwortet | answer/answered/answered | person | dat:adult,kin | höflich schnell
gratulieren | gratuliert | gratuliert | congratulate/congratulated/congratulated | person | dat:adult,kin |
vertrauen | vertraut | vertraut | trust/trusted/trusted | person | dat:adult,kin | state
folgen | folgt | *gefolgt | follow/followed/followed | person | dat:adult,wild | langsam leise
geben | gibt | gegeben | give/gave/given | person | dat:adult,kin,child acc:gift,lendable |
schenken | schenkt | geschenkt | give/gave/given | person | dat:kin,child,relation acc:gift |
zeigen | zeigt | gezeigt | show/showed/shown | person | dat:adult,kin,child acc:gift,building,book |
bringen | bringt | gebracht | bring/brought/brought | person | dat:adult,kin,child acc:serving,carryable |
schicken | schickt | geschickt | send/sent/sent | person | dat:adult,kin acc:sendable |
leihen | leiht | geliehen | lend/lent/lent | person | dat:adult,kin acc:lendable |
erzählen | erzählt | erzählt | tell/told/told | person | dat:kin,child acc:story |
erklären | erklärt | erklärt | explain/explained/explained | adult | to:child,kin,adult acc:question | langsam geduldig
empfehlen | empfiehlt | empfohlen | recommend/recommended/recommended | person | to:adult,kin acc:book |
vor·lesen | liest | vorgelesen | read/read/read | person | to:kin,child acc:story,book | langsam
beschreiben | beschreibt | beschrieben | describe/described/described | person | to:adult,kin acc:building,problem |
gehen | geht | *gegangen | go/went/gone | person | dir:public,outdoors,room |
laufen | läuft | *gelaufen | run/ran/run | child,pet | dir:outdoors,room |
reisen | reist | *gereist | travel/travelled/travelled | person | nach+dat=to:cities,countries |
fahren | fährt | *gefahren | go/went/gone | person | nach+dat=to:cities | by
fliegen | fliegt | *geflogen | fly/flew/flown | person | nach+dat=to:cities,countries |
springen | springt | *gesprungen | jump/jumped/jumped | pet | auf+acc=onto:surface | schnell
klettern | klettert | *geklettert | climb/climbed/climbed | child,climber | auf+acc=up:tree | schnell langsam vorsichtig
wohnen | wohnt | gewohnt | live/lived/lived | person | in+dat=in:cities,countries | state
arbeiten | arbeitet | gearbeitet | work/worked/worked | adult | loc:work | fleißig
schlafen | schläft | geschlafen | sleep/slept/slept | person,pet | loc:room | ruhig
sitzen | sitzt | gesessen | sit/sat/sat | person,pet | auf/neben+dat:seat |
liegen | liegt | gelegen | lie/lay/lain | person | auf+dat=on:lying |
liegen | liegt | gelegen | lie/lay/lain | pet | auf/unter/neben/hinter+dat:seat |
spielen | spielt | gespielt | play/played/played | child,pet | loc:outdoors,room | leise laut
tanzen | tanzt | getanzt | dance/danced/danced | person | loc:leisure,room |
lachen | lacht | gelacht | laugh/laughed/laughed | person | über+acc=about:story,film | laut leise
weinen | weint | geweint | cry/cried/cried | child | loc:room | laut leise
schwimmen | schwimmt | *geschwommen | swim/swam/swum | person | in+dat=in:water | langsam schnell
warten | wartet | gewartet | wait/waited/waited | person | auf+acc=for:adult,kin,transport | at:pickup geduldig
sprechen | spricht | gesprochen | speak/spoke/spoken | person | mit+dat=with:adult,kin,child | at:meeting leise höflich
denken | denkt | gedacht | think/thought/thought | person | an+acc=of:kin,plan | state
träumen | träumt | geträumt | dream/dreamed/dreamed | person | von+dat=of:dream,vehicle,building |
fragen | fragt | gefragt | ask/asked/asked | person | nach+dat=about:problem,dream | höflich
sich freuen | freut | gefreut | look/looked/looked forward | person | auf+acc=to:event |
sich interessieren | interessiert | interessiert | be/was/been interested | person | für+acc=in:topics | state
sich kümmern | kümmert | gekümmert | look/looked/looked | person | um+acc=after:pet,farm,kin |
sich treffen | trifft | getroffen | meet/met/met up | person | mit+dat=with:adult | at:meeting
sich setzen | setzt | gesetzt | sit/sat/sat down | person | auf+acc=on:seat |
sich entschuldigen | entschuldigt | entschuldigt | apologise/apologised/apologised | person | bei+dat=to:adult,kin | höflich
sich verabschieden | verabschiedet | verabschiedet | say/said/said goodbye | person | von+dat=to:adult,kin | höflich
sich beeilen | beeilt | beeilt | hurry/hurried/hurried | person | |
legen | legt | gelegt | put/put/put | person | acc:lies auf/neben+acc:surface | vorsichtig
stellen | stellt | gestellt | put/put/put | person | acc:stands auf/neben+acc:surface | vorsichtig
"""

# Verbs with patterns of their own.
SPECIAL_VERBS = """
sein | ist | *gewesen | be/was/been | person | |
werden | wird | *geworden | become/became/become | person | |
haben | hat | gehabt | have/had/had | person | |
geben | gibt | gegeben | be/was/been | person | |
wissen | weiß | gewusst | know/knew/known | person | |
glauben | glaubt | geglaubt | believe/believed/believed | person | |
sagen | sagt | gesagt | say/said/said | person | |
hoffen | hofft | gehofft | hope/hoped/hoped | person | |
hören | hört | gehört | hear/heard/heard | person | |
fragen | fragt | gefragt | ask/asked/asked | person | |
versuchen | versucht | versucht | try/tried/tried | person | |
versprechen | verspricht | versprochen | promise/promised/promised | person | |
beschließen | beschließt | beschlossen | decide/decided/decided | person | |
bleiben | bleibt | *geblieben | stay/stayed/stayed | person | |
gehören | gehört | gehört | belong/belonged/belonged to | losable,clothes,vehicle,pet,farm,device | dat:adult,kin |
gefallen | gefällt | gefallen | like/liked/liked | book,story,clothes,building,event,gift,song,flower | dat:adult,kin,child |
schmecken | schmeckt | geschmeckt | like/liked/liked | edible | dat:adult,kin,child |
kosten | kostet | gekostet | cost/cost/cost | buyable | |
dauern | dauert | gedauert | last/lasted/lasted | lasts | |
beginnen | beginnt | begonnen | begin/began/begun | starts | |
statt·finden | findet | stattgefunden | take/took/taken place | event | |
ab·fahren | fährt | *abgefahren | leave/left/left | transport | |
an·kommen | kommt | *angekommen | arrive/arrived/arrived | transport | |
stehen | steht | gestanden | stand/stood/stood | stands | auf/neben+dat:surface |
liegen | liegt | gelegen | lie/lay/lain | lies | auf/neben+dat:surface |
regnen | regnet | geregnet | rain/rained/rained | | |
schneien | schneit | geschneit | snow/snowed/snowed | | |
"""

# Prepositions of place around furniture.
SPOTS = {"auf": "on", "neben": "next to", "unter": "under", "hinter": "behind"}

# Modals: ich/du/er/wir forms = English; * marks those said of the past.
MODALS = """
kann kannst kann können = can
muss musst muss müssen = have to
will willst will wollen = want to
soll sollst soll sollen = should
darf darfst darf dürfen = be allowed to
möchte möchtest möchte möchten = would like to
*konnte konntest konnte konnten = could
*musste musstest musste mussten = have to
*wollte wolltest wollte wollten = want to
*durfte durftest durfte durften = be allowed to
"""

# Adjectives: stem [/ stem before an ending] | comparative | English | comparative English | kinds or tags of nouns.
ADJECTIVES = """
alt | älter | old | older | adult animal carryable furniture vehicle building book part room public device
jung | jünger | young | younger | adult animal
klein | kleiner | small | smaller | child animal carryable device furniture building room public outdoors part
groß | größer | big | bigger | animal carryable furniture building room public outdoors plant part
neu | neuer | new | newer | carryable device furniture vehicle clothes book part
modern | moderner | modern | more modern | device furniture building vehicle
schön | schöner | beautiful | more beautiful | clothes flower building outdoors stands plant
hübsch | hübscher | pretty | prettier | clothes flower stands
elegant | eleganter | elegant | more elegant | clothes furniture
teuer / teur | teurer | expensive | more expensive | carryable device furniture vehicle clothes book stands
billig | billiger | cheap | cheaper | carryable device furniture vehicle clothes book stands
praktisch | praktischer | practical | more practical | luggage device furniture
nützlich | nützlicher | useful | more useful | book device
rot | | red | | clothes vehicle luggage flower part
blau | | blue | | clothes vehicle luggage stands
grün | | green | | clothes vehicle luggage furniture
gelb | | yellow | | clothes flower luggage
weiß | | white | | clothes flower furniture part hunter
schwarz | | black | | clothes vehicle luggage hunter
braun | | brown | | clothes furniture luggage hunter
grau | | grey | | clothes hunter
bunt | bunter | colourful | more colourful | flower clothes
schwer | schwerer | heavy | heavier | carryable furniture
leicht | leichter | light | lighter | luggage
leer | | empty | | carryable room
sauber | sauberer | clean | cleaner | washable room part
schmutzig | schmutziger | dirty | dirtier | washable room part
warm | wärmer | warm | warmer | clothes
kalt | kälter | cold | colder | drink
frisch | frischer | fresh | fresher | food dish drink
lecker | leckerer | delicious | more delicious | edible
süß | süßer | sweet | sweeter | pickable
reif | reifer | ripe | riper | fruit
spannend | spannender | exciting | more exciting | book story winnable
langweilig | langweiliger | boring | more boring | book reading lasts
interessant | interessanter | interesting | more interesting | book reading
lustig | lustiger | funny | funnier | story
lang | länger | long | longer | reading lasts book
kurz | kürzer | short | shorter | reading lasts
wichtig | wichtiger | important | more important | question sendable
schwierig | schwieriger | difficult | more difficult | question
einfach | einfacher | easy | easier | question
freundlich | freundlicher | friendly | friendlier | adult child
nett | netter | nice | nicer | adult child
klug | klüger | clever | cleverer | adult child hunter
fleißig | fleißiger | hard-working | more hard-working | adult child
höflich | höflicher | polite | more polite | adult child
mutig | mutiger | brave | braver | adult child
berühmt | berühmter | famous | more famous | artist sight
müde / müd | müder | tired | more tired | adult child animal
glücklich | glücklicher | happy | happier | adult child
traurig | trauriger | sad | sadder | adult child
hungrig | hungriger | hungry | hungrier | adult child animal
durstig | durstiger | thirsty | thirstier | adult child animal
nervös | nervöser | nervous | more nervous | adult child
geduldig | geduldiger | patient | more patient | adult
faul | fauler | lazy | lazier | adult child pet
stark | stärker | strong | stronger | adult wild
wild | wilder | wild | wilder | wild
schnell | schneller | fast | faster | vehicle transport
hell | heller | bright | brighter | room stands
dunkel / dunkl | dunkler | dark | darker | room nature
gemütlich | gemütlicher | cosy | cosier | room eatery seat
laut | lauter | noisy | noisier | public
ruhig | ruhiger | quiet | quieter | leisure room eatery
kaputt | | broken | | device vehicle
hoch / hoh | höher | tall | taller | tree
"""
PREDICATIVE_ADJECTIVES = "krank = ill, wach = awake, zufrieden = satisfied, zu_Hause = at_home, allein = alone"

# Adverbs. Aligned phrases are written word by word: `German:English`, `_` where several words stand for one.
FREQUENCIES = "oft:often immer:always manchmal:sometimes selten:rarely nie:never meistens:usually"
MANNERS = """langsam:slowly schnell:quickly vorsichtig:carefully sorgfältig:carefully gründlich:thoroughly
leise:quietly laut:loudly höflich:politely geduldig:patiently fleißig:hard ruhig:peacefully"""
PAST_TIMES = """
gestern:yesterday
vorgestern:the_day_before_yesterday
heute:today
heute:this Morgen:morning
heute:this Nachmittag:afternoon
gestern:yesterday Abend:evening
gestern:yesterday Morgen:morning
letzte:last Woche:week
letzten:last Monat:month
letztes:last Jahr:year
letzten:last Sommer:summer
letzten:last Winter:winter
letztes:last Wochenende:weekend
im:in Januar:January
im:in Februar:February
im:in März:March
im:in April:April
"""
HABITUAL_TIMES = """
jeden:every Tag:day
jeden:every Morgen:morning
jeden:every Nachmittag:afternoon
jeden:every Abend:evening
jede:every Woche:week
jeden:every Monat:month
jedes:every Jahr:year
jeden:every Sommer:summer
jeden:every Samstag:Saturday
jeden:every Sonntag:Sunday
im:in Sommer:summer
im:in Winter:winter
im:in Frühling:spring
im:in Herbst:autumn
im:in Mai:May
im:in Juni:June
im:in August:August
im:in Dezember:December
am:in_the Morgen:morning
am:in_the Abend:evening
am:at_the Wochenende:weekend
"""
FUTURE_TIMES = """
morgen:tomorrow
übermorgen:the_day_after_tomorrow
bald:soon
heute:today
heute:this Abend:evening
morgen:tomorrow Nachmittag:afternoon
morgen:tomorrow Abend:evening
nächste:next Woche:week
nächsten:next Monat:month
nächstes:next Jahr:year
nächsten:next Sommer:summer
nächstes:next Wochenende:weekend
im:in Juli:July
im:in September:September
im:in Oktober:October
im:in November:November
"""
WEEKDAYS = """Montag:Monday Dienstag:Tuesday Mittwoch:Wednesday Donnerstag:Thursday Freitag:Friday
Samstag:Saturday Sonntag:Sunday"""
# Units of time: dative plural = English plural.
UNITS = "Tagen:days Wochen:weeks Monaten:months Jahren:years"
NUMBERS = """zwei:two drei:three vier:four fünf:five sechs:six sieben:seven acht:eight neun:nine zehn:ten
elf:eleven zwölf:twelve"""
LARGE_NUMBERS = """zwanzig:twenty einundzwanzig:twenty-one fünfundzwanzig:twenty-five dreißig:thirty vierzig:forty
fünfundvierzig:forty-five fünfzig:fifty sechzig:sixty siebzig:seventy achtzig:eighty neunzig:ninety hundert:a_hundred"""
# Causes, in the genitive, for wegen and trotz: article noun = English
CAUSES = "des Regens = rain, des Schnees = snow, des Sturms = storm, der Hitze = heat, des Lärms = noise, der Kälte = cold"
OCCASIONS = "des Unterrichts = lesson, der Pause = break, der Ferien = holidays, des Essens = meal, der Besprechung = meeting"
