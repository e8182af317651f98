"""The sentences around the items. Each has one field: the kind of value that stands there."""

from typing import Final

_ONE_VALUE: Final = {
    "en": {
        "email": ["You can write to {email} if you need the files.", "Contact: {email}", "my new address is {email}, the old one bounced", "cc {email}; thanks!", "<{email}> sent this yesterday"],
        "phone": ["Give me a call on {phone} after six.", "My number: {phone}", "You'll reach her at {phone}.", "Mobile {phone} or leave a note", "{phone} is the one to dial for bookings", "text me ({phone}) when you land"],
        "iban": ["Please transfer the rent to {iban}.", "Account: {iban}, name as above", "the IBAN is {iban} and the reference is your flat"],
        "card": ["I paid with {card} and it was declined.", "Card number {card}, exp 09/28", "they charged {card} twice"],
        "ip": ["The requests came from {ip} all night.", "server at {ip}, port closed", "banned {ip} for spamming"],
        "mac": ["The printer shows up as {mac}.", "device {mac} joined the network", "whitelist {mac} please"],
        "url": ["Follow me here: {url}", "He posts everything on {url} these days.", "my profile ({url}) has the pictures"],
        "handle": ["Thanks to {handle} for the tip!", "{handle} did you see this?", "photo by {handle}, edited by me", "ask {handle} about the tickets"],
        "national_id": ["My SSN is {national_id}, please keep it safe.", "She wrote her national insurance number {national_id} on the form.", "Social security number: {national_id}", "Tax ID {national_id} was on the letter"],
        "birth_date": ["I was born on {birth_date} in a small town.", "DOB: {birth_date}", "Her date of birth is {birth_date}.", "birthday {birth_date}, same as my dad", "{birth_date} is when I was born"],
        "secret": ["don't commit {secret} again", "the key {secret} still works", "export KEY={secret}", "password: {password}", "my wifi password is {password} by the way", "api_key = {secret}"],
        "name": ["I met {name} at the station.", "{name} wrote the report.", "Ask {name} about it."],
        "address": ["We moved to {address} last spring.", "Send it to {address} please.", "She lives at {address}."],
    },
    "de": {
        "email": ["Schreib mir einfach an {email}, dann klappt das.", "Kontakt: {email}", "meine neue Adresse lautet {email}", "Bitte auch an {email} weiterleiten!", "({email}) hat geantwortet"],
        "phone": ["Ruf mich unter {phone} an, am besten abends.", "Meine Nummer: {phone}", "Sie ist unter {phone} zu erreichen.", "Handy {phone}, sonst auf die Mailbox", "{phone} ist die Leitung der Praxis", "Tel. {phone} (ab 9 Uhr)"],
        "iban": ["Überweise die Miete bitte auf {iban}.", "Konto: {iban}, Name wie oben", "die IBAN ist {iban}, Verwendungszweck egal"],
        "card": ["Ich habe mit {card} bezahlt und es ging nicht.", "Kartennummer {card}, gültig bis 09/28", "von {card} wurde doppelt abgebucht"],
        "ip": ["Die Anfragen kamen die ganze Nacht von {ip}.", "Server auf {ip}, Port zu", "{ip} wurde gesperrt"],
        "mac": ["Der Drucker meldet sich als {mac}.", "Gerät {mac} ist im Netz", "bitte {mac} freigeben"],
        "url": ["Folgt mir hier: {url}", "Er postet alles auf {url}, wirklich alles.", "mein Profil ({url}) hat die Bilder"],
        "handle": ["Danke an {handle} für den Hinweis!", "{handle} hast du das gesehen?", "Foto von {handle}, Bearbeitung ich", "frag mal {handle} wegen der Karten"],
        "national_id": ["Meine Steuer-ID ist {national_id}, bitte sicher verwahren.", "Auf dem Bescheid stand die Sozialversicherungsnummer {national_id}.", "Steueridentifikationsnummer: {national_id}", "AHV-Nummer {national_id} steht auf dem Ausweis", "SV-Nummer: {national_id}"],
        "birth_date": ["Ich bin am {birth_date} in einer kleinen Stadt geboren.", "Geburtsdatum: {birth_date}", "Sie hat am {birth_date} Geburtstag.", "geb. {birth_date}, wie mein Vater", "am {birth_date} kam ich zur Welt"],
        "secret": ["{secret} bitte nicht mehr einchecken", "der Schlüssel {secret} geht noch", "export KEY={secret}", "Passwort: {password}", "mein WLAN-Passwort ist {password} übrigens", "api_key = {secret}"],
        "name": ["Ich habe {name} am Bahnhof getroffen.", "{name} hat den Bericht geschrieben.", "Frag {name} danach."],
        "address": ["Wir sind nach {address} gezogen.", "Schick es bitte an {address}.", "Sie wohnt in {address}."],
    },
    "fr": {
        "email": ["Écris-moi à {email} et on verra.", "Contact : {email}", "ma nouvelle adresse est {email}", "merci de transférer à {email} !", "({email}) a répondu hier"],
        "phone": ["Appelle-moi au {phone} après six heures.", "Mon numéro : {phone}", "Elle est joignable au {phone}.", "Portable {phone}, sinon laissez un message", "{phone} est la ligne du cabinet", "Tél. {phone} (le matin)"],
        "iban": ["Merci de virer le loyer sur {iban}.", "Compte : {iban}, même nom", "l'IBAN est {iban}, référence libre"],
        "card": ["J'ai payé avec {card} et c'est refusé.", "Numéro de carte {card}, exp. 09/28", "on a débité {card} deux fois"],
        "ip": ["Les requêtes venaient de {ip} toute la nuit.", "serveur sur {ip}, port fermé", "{ip} a été bloquée"],
        "mac": ["L'imprimante s'annonce comme {mac}.", "l'appareil {mac} est sur le réseau", "autorisez {mac} svp"],
        "url": ["Suivez-moi ici : {url}", "Il publie tout sur {url} en ce moment.", "mon profil ({url}) a les photos"],
        "handle": ["Merci à {handle} pour le conseil !", "{handle} tu as vu ça ?", "photo de {handle}, retouche par moi", "demande à {handle} pour les billets"],
        "national_id": ["Mon numéro de sécurité sociale est {national_id}, gardez-le bien.", "Elle a noté son numéro de sécu {national_id} sur le dossier.", "NIR : {national_id}", "numéro AVS {national_id} sur la carte"],
        "birth_date": ["Je suis né le {birth_date} dans une petite ville.", "Date de naissance : {birth_date}", "Son anniversaire est le {birth_date}.", "née le {birth_date}, comme mon père", "le {birth_date}, jour de ma naissance"],
        "secret": ["ne commitez plus {secret}", "la clé {secret} marche encore", "export KEY={secret}", "mot de passe : {password}", "mon mot de passe wifi est {password} au fait", "api_key = {secret}"],
        "name": ["J'ai croisé {name} à la gare.", "{name} a rédigé le rapport.", "Demande à {name}."],
        "address": ["Nous avons déménagé au {address} ce printemps.", "Envoie-le au {address} stp.", "Elle habite {address}."],
    },
}  # fmt: skip
FRAMES: Final = _ONE_VALUE
"""Of the second generator."""

THIRD_FRAMES: Final = {
    "en": {
        "email": ["reply-to={email}", "is {email} still yours?"],
        "phone": ["phone me: {phone}", "ring {phone} and ask for the manager", "WhatsApp {phone} works best"],
        "iban": ["beneficiary {iban}", "I sent it to {iban} on Monday"],
        "card": ["cc: {card}", "the card ending like this {card} expired"],
        "ip": ["last login from {ip}", "ping {ip} fails"],
        "mac": ["lease for {mac} renewed", "hw addr {mac}"],
        "url": ["link in bio -> {url}", "[me]({url})"],
        "handle": ["RT {handle}: lovely", "shoutout {handle} & friends"],
        "national_id": ["SIN/SSN/NI no.: {national_id}", "his social insurance number, {national_id}, leaked"],
        "birth_date": ["birth date {birth_date}, place unknown", "he was born {birth_date}"],
        "secret": ["token={secret}", "pwd={password}", "Authorization: Bearer {secret}"],
        "name": ["yours, {name}", "cheers to {name}!"],
        "address": ["delivery to {address}", "the house at {address} burned"],
    },
    "de": {
        "email": ["Antwort an={email}", "gehört {email} noch dir?"],
        "phone": ["telefonisch: {phone}", "einfach {phone} anrufen und nach dem Chef fragen", "per WhatsApp: {phone}"],
        "iban": ["Empfänger {iban}", "am Montag ging es an {iban} raus"],
        "card": ["KK: {card}", "die Karte {card} ist abgelaufen"],
        "ip": ["letzte Anmeldung von {ip}", "ping {ip} schlägt fehl"],
        "mac": ["Lease für {mac} erneuert", "HW-Adresse {mac}"],
        "url": ["Link in der Bio -> {url}", "[ich]({url})"],
        "handle": ["RT {handle}: schön", "Grüße an {handle} & Co."],
        "national_id": ["IdNr.: {national_id}", "seine Rentenversicherungsnummer bzw. Steuernummer {national_id} ist geleakt"],
        "birth_date": ["Geburtstag: {birth_date}, Ort unbekannt", "er wurde am {birth_date} geboren"],
        "secret": ["token={secret}", "pwd={password}", "Authorization: Bearer {secret}"],
        "name": ["viele Grüße, {name}", "auf {name}!"],
        "address": ["Lieferung an {address}", "das Haus in {address} ist abgebrannt"],
    },
    "fr": {
        "email": ["répondre à={email}", "{email} est toujours à toi ?"],
        "phone": ["par téléphone : {phone}", "appelez {phone} et demandez le chef", "par WhatsApp : {phone}"],
        "iban": ["bénéficiaire {iban}", "parti lundi vers {iban}"],
        "card": ["CB : {card}", "la carte {card} a expiré"],
        "ip": ["dernière connexion depuis {ip}", "ping {ip} échoue"],
        "mac": ["bail de {mac} renouvelé", "adresse matérielle {mac}"],
        "url": ["lien en bio -> {url}", "[moi]({url})"],
        "handle": ["RT {handle} : joli", "coucou à {handle} & co."],
        "national_id": ["numéro d'assurance sociale : {national_id}", "son NAS ou numéro de sécurité sociale, {national_id}, a fuité"],
        "birth_date": ["anniversaire : {birth_date}, lieu inconnu", "il est né {birth_date}"],
        "secret": ["token={secret}", "mdp={password}", "Authorization: Bearer {secret}"],
        "name": ["bien à vous, {name}", "santé à {name} !"],
        "address": ["livraison au {address}", "la maison du {address} a brûlé"],
    },
}  # fmt: skip
"""Of the third split, by which no rule is corrected."""

_CODE: Final = [
    "@Override public void {word}() {{ return {n4}; }}",
    "@media screen and (max-width: {n4}px) {{ color: {hex}; }}",
    "for i in range({n4}): print(i * {n2})",
    "commit {sha} fixes {file}",
    "id {uuid} in {file}",
    "std::map<int, {word}> {word}_{n2};",
]
NEGATIVES: Final = {
    "en": [
        "{text}", "{sentence} It was {day}.", "The bridge was opened on {day} at {time}.", "EAN {ean}, ISBN {isbn}", "Order {n10} has shipped.", "article {ean} costs {price}",
        "version {version} of {file}", "see chapter {version}.{n2} for details", "It cost ${price} in {year}.", "coordinates {place}", "{url}", "room {n4}, floor {n2}, code {postcode}",
        "score {n2}-{n2} after {n2}:{n2}", "between {year} and {year}", "The password is the same as before, I think.", "call number {n6} in the library", "invoice no. {n6}-{n4}", "meet @ {n2}:00", *_CODE,
    ],
    "de": [
        "{text}", "{sentence} Das war am {german_day}.", "Die Brücke wurde am {german_day} um {time} eröffnet.", "EAN {ean}, ISBN {isbn}", "Bestellung {n10} ist unterwegs.", "Artikel {ean} kostet {price}",
        "Version {version} von {file}", "siehe Kapitel {version}.{n2}", "Das kostete {price} € im Jahr {year}.", "Koordinaten {place}", "{url}", "Raum {n4}, Stock {n2}, PLZ {postcode}",
        "{n2}:{n2} nach Verlängerung", "zwischen {year} und {year}", "Das Passwort ist dasselbe wie vorher, glaube ich.", "Rechnung Nr. {n6}-{n4}", "Kennzeichen {plate}", "um {n2} Uhr @ home", *_CODE,
    ],
    "fr": [
        "{text}", "{sentence} C'était le {french_day}.", "Le pont a ouvert le {french_day} à {time}.", "EAN {ean}, ISBN {isbn}", "La commande {n10} est partie.", "l'article {ean} coûte {price}",
        "version {version} de {file}", "voir le chapitre {version}.{n2}", "Cela coûtait {price} € en {year}.", "coordonnées {place}", "{url}", "salle {n4}, étage {n2}, code {postcode}",
        "{n2}-{n2} après prolongation", "entre {year} et {year}", "Le mot de passe est le même qu'avant, je crois.", "facture n° {n6}-{n4}", "immatriculation {plate}", "rdv @ {n2}h", *_CODE,
    ],
}  # fmt: skip
