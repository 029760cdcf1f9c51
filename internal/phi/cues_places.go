package phi

// placeCues tell where a place may stand, and where none does.
func placeCues() []cueList {
	return []cueList{
		{flags: facility, words: "hospital hospitals hosp clinic clinics infirmary hospice sanatorium polyclinic pharmacy medcenter"},
		{flags: facility | avenida, words: "hôpital hopital ospedale krankenhaus klinikum klinik ziekenhuis clínica clinique policlinico sjukhus"},
		{flags: avenida, words: "rue calle rua avenida via viale piazza carrer chemin ulica praça travessa"},
		{flags: premises, words: "center centre centers memorial general regional health healthcare medical med office offices branch practice institute home campus dental rehab rehabilitation pediatrics orthopedics orthopaedics associates physicians university college school church care surgery ward pavilion facility manor residence residences"},
		{flags: street, words: "street avenue road lane drive boulevard court terrace parkway highway crescent plaza circle trail alley turnpike parade mews embankment"},
		{flags: streetAbb, words: "st ave av rd ln dr blvd ct pl pkwy hwy cres ter sq cir trl way square place row close gardens walk run loop pike cl gdns grove rise vale heights ridge hollow crossing quay"},
		{flags: transfer, words: "admitted transferred referred discharged presented transported sent taken hospitalized hospitalised released brought rushed visited visiting visits visit"},
		{flags: visit, words: visits},
		{flags: preposed, words: "at in from near to of around outside"},
		{flags: stateCode, words: "al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or pa ri sc sd tn tx ut vt va wa wv wi wy dc pr ab bc mb nb nl ns on pe qc sk nsw vic qld tas"},
		{flags: region, head: regionHead, phrases: true, words: regions},
		{flags: region | stateCode, head: regionHead, phrases: true, words: states},
		{flags: place, head: placeHead, phrases: true, words: knownHospitals + "nyc\nsan fran\nphilly\nvegas\nbrooklyn\nmanhattan\nqueens\nbronx\nharlem\nhollywood\n"},
	}
}

// states of the United States are no identifiers: Safe Harbor lets them stand.
const states = `alabama
alaska
arizona
arkansas
california
colorado
connecticut
delaware
florida
georgia
hawaii
idaho
illinois
indiana
iowa
kansas
kentucky
louisiana
maine
maryland
massachusetts
michigan
minnesota
mississippi
missouri
montana
nebraska
nevada
new hampshire
new jersey
new mexico
north carolina
south carolina
north dakota
south dakota
ohio
oklahoma
oregon
pennsylvania
rhode island
tennessee
texas
utah
vermont
virginia
west virginia
wisconsin
wyoming
puerto rico
`

// regions are larger than a state, or as large.
const regions = `england
scotland
wales
northern ireland
ireland
britain
great britain
united kingdom
united states
united states of america
america
south america
north america
latin america
central america
africa
south africa
asia
europe
australia
new zealand
canada
ontario
quebec
alberta
manitoba
saskatchewan
nova scotia
british columbia
mexico
brazil
argentina
chile
peru
colombia
venezuela
ecuador
bolivia
cuba
jamaica
haiti
dominican republic
panama
costa rica
guatemala
honduras
el salvador
nicaragua
spain
portugal
france
germany
austria
switzerland
italy
greece
turkey
poland
hungary
romania
bulgaria
serbia
croatia
albania
ukraine
russia
belarus
sweden
norway
denmark
finland
iceland
netherlands
belgium
luxembourg
china
japan
korea
south korea
north korea
taiwan
hong kong
singapore
vietnam
thailand
cambodia
laos
malaysia
indonesia
philippines
india
pakistan
bangladesh
nepal
sri lanka
afghanistan
iran
iraq
syria
lebanon
israel
jordan
egypt
saudi arabia
yemen
kuwait
qatar
morocco
algeria
tunisia
libya
sudan
ethiopia
kenya
uganda
tanzania
rwanda
somalia
nigeria
ghana
senegal
cameroon
congo
zambia
zimbabwe
malawi
mozambique
angola
botswana
namibia
madagascar
chad
mali
niger
midwest
northeast
southwest
silicon valley
new england
new york state
washington state
`

// knownHospitals are names by which large hospitals of the United States go
// without the word hospital, from general knowledge.
const knownHospitals = `johns hopkins
kaiser permanente
mount sinai
mt sinai
cedars sinai
cedar sinai
nyu langone
mass general
massachusetts general
md anderson
sloan kettering
memorial sloan kettering
new york presbyterian
ny presbyterian
brigham and women
beth israel deaconess
cleveland clinic
mayo clinic
mayo
ucsf
ucla
upmc
mgh
ucsd
bwh
montefiore
northwell
geisinger
ochsner
dana farber
fred hutch
scripps
banner health
sutter health
providence health
ascension health
intermountain health
hackensack meridian
penn medicine
duke health
stanford health
emory healthcare
vanderbilt
duke
rush
emory
yale
tufts
kaiser
loyola
baylor
brigham
ohsu
lenox hill
mass gen
methodist
barnes jewish
henry ford
walter reed
weill cornell
children national
`
