"""Names and places of Lanao del Norte and of the country, by community."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, eq=False)
class Community:
    """Whose names go together. `seconds` are given names that follow a first one."""

    male: tuple[str, ...]
    female: tuple[str, ...]
    male_seconds: tuple[str, ...]
    female_seconds: tuple[str, ...]
    families: tuple[str, ...]
    religions: dict[str, float]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.replace("\n", " ").split(",") if name.strip())


_CHRISTIAN_MALE = _listed(
    """Adrian, Aldrin, Alvin, Angelo, Anthony, Arnel, Benjie, Bryan, Carlo, Cedric, Christian, Daniel, Dave,
    Dennis, Dexter, Earl, Edgar, Elmer, Emmanuel, Eric, Ferdinand, Francis, Gabriel, Gerald, Gilbert, Harold,
    Ian, Jake, James, Jay, Jayson, Jericho, Jerome, Jhon, Joel, John, Jomar, Jonathan, Joseph, Joshua, Juan,
    Julius, Justin, Karl, Kenneth, Kevin, Kim, Kristoffer, Lester, Lloyd, Marvin, Marlon, Mark, Michael,
    Nathaniel, Neil, Nestor, Niño, Noel, Paolo, Patrick, Paul, Philip, Rafael, Ralph, Raymond, Rene, Rey,
    Reynaldo, Ricardo, Rico, Robert, Rodel, Roel, Romeo, Ronald, Ronnel, Rowell, Ruel, Ryan, Samuel, Santiago,
    Stephen, Ted, Vicente, Vincent, Warren, Wendell"""
)
_CHRISTIAN_FEMALE = _listed(
    """Aileen, Aira, Alma, Analyn, Andrea, Angel, Angelica, Annabelle, April, Arlene, Bea, Beverly, Bernadette,
    Camille, Carmela, Catherine, Charlene, Cherry, Christine, Clarissa, Cristina, Daisy, Danica, Diana, Dianne,
    Donna, Elaine, Ella, Erica, Fe, Florence, Gemma, Genevieve, Gina, Glaiza, Grace, Hannah, Hazel, Irene, Ivy,
    Jasmine, Jean, Jennifer, Jessa, Jessica, Joan, Jocelyn, Joy, Joyce, Judith, Julie, Karen, Kathleen, Krizza,
    Kyla, Leah, Lea, Lizel, Lorraine, Lovely, Lyka, Mae, Marian, Maricel, Maricris, Marites, Mary, Melanie,
    Mercy, Michelle, Mylene, Nica, Nicole, Pamela, Patricia, Precious, Princess, Queenie, Rachelle, Regine,
    Rhea, Rizza, Rochelle, Rosalie, Rose, Rowena, Ruby, Shaira, Sheila, Stephanie, Trisha, Vanessa, Veronica,
    Wilma"""
)
_CHRISTIAN_MALE_SECONDS = _listed(
    "Anthony, Angelo, Carlo, Christopher, Clyde, Dave, Francis, Ian, Jay, John, Jude, Kyle, Lloyd, Louie, Mark, "
    "Michael, Paul, Rey, Vincent, Xavier"
)
_CHRISTIAN_FEMALE_SECONDS = _listed(
    "Ann, Anne, Claire, Faith, Grace, Hope, Jane, Jean, Joy, Kate, Lou, Love, Mae, Marie, May, Nicole, Pearl, Rose"
)

MARANAO = Community(
    male=_listed(
        """Abdul Jalil, Abdullah, Abdulrahman, Acmad, Ahmad, Alinor, Alimodin, Amer, Amir, Anwar, Asnawi,
        Camarodin, Casan, Datu Ali, Datu Nor, Fahad, Faisal, Hamza, Hosni, Ibrahim, Ismael, Jamael, Jalaloden,
        Junaid, Khalid, Macmod, Mohaimen, Mohammad, Mohammad Ali, Mohammad Nor, Mujahid, Najib, Nasrodin,
        Norhan, Nur-Din, Omar, Omair, Rashid, Sadam, Saidamen, Samsodin, Saripoden, Sultan, Yasser, Yusoph,
        Zainal, Zuhair"""
    ),
    female=_listed(
        """Ainah, Aisah, Alyanah, Amina, Anisah, Asliah, Asnia, Asnairah, Ayesha, Baicon, Farhana, Fatima, Haifa,
        Hanan, Hanifah, Hasmin, Jamelah, Jannah, Johaira, Johanisah, Khadijah, Mariam, Najmah, Nadia, Norhanie,
        Norhaya, Norjanah, Noraisah, Nurhana, Omaimah, Raihanah, Rasmia, Rohanisah, Sahara, Saima, Salmah,
        Sittie Ainah, Sittie Aisah, Sittie Fatimah, Sittie Nor, Sohaya, Somaya, Yasmin, Zahra, Zainab"""
    ),
    male_seconds=_listed("Hassan, Jabbar, Karim, Malik, Nor, Rahim, Rahman, Saif, Salam"),
    female_seconds=_listed("Aleem, Amerah, Hanim, Jannah, Mae, Nor, Noor, Salam"),
    families=_listed(
        """Abdulcader, Abdullah, Abdulmalik, Abubakar, Adiong, Alonto, Amerol, Ampaso, Anto, Arumpac, Balindong,
        Bantuas, Basher, Batua, Cabugatan, Cali, Cornell, Cosain, Daluma, Datumanong, Dianalan, Dimakuta,
        Dimaporo, Dimacaling, Disomangcop, Gandamra, Guro, Guinar, H. Amer, Hadji Ali, Hadji Amer, Hadji Omar,
        Hadji Said, Ibrahim, Imam, Laguindab, Lomondot, Lucman, Macabago, Macadato, Macapaar, Macarambon,
        Macaurog, Mala, Mamainte, Mangondato, Manabilang, Maruhom, Mindalano, Mohamad, Naga, Pacasum,
        Pangandaman, Pangarungan, Papandayan, Pumbaya, Radia, Sarip, Sultan, Solaiman, Tago, Tamano, Tomawis,
        Umpa, Usman, Usodan"""
    ),
    religions={"Islam": 1},
)
CEBUANO = Community(
    male=_CHRISTIAN_MALE,
    female=_CHRISTIAN_FEMALE,
    male_seconds=_CHRISTIAN_MALE_SECONDS,
    female_seconds=_CHRISTIAN_FEMALE_SECONDS,
    families=_listed(
        """Abapo, Abarquez, Abella, Alcontin, Amores, Arcilla, Bacalso, Bacus, Baguio, Baliwag, Booc, Cabahug,
        Cabrera, Cañete, Canoy, Caballero, Codilla, Cuizon, Dacayo, Daño, Delgado, Enriquez, Espina, Estrada,
        Gabato, Galagar, Gallardo, Genobia, Hermosilla, Inso, Jumawan, Labadan, Labrador, Lagura, Largo,
        Lumapas, Lumanta, Maglasang, Magsayo, Mahinay, Maquiling, Maturan, Montebon, Monteroso, Nuñez, Ompad,
        Ouano, Pacaña, Padilla, Paglinawan, Paradela, Pepito, Quijano, Ramirez, Remolador, Rosales, Sabellano,
        Saniel, Sarmiento, Sayson, Suarez, Sumalinog, Tabañag, Tumulak, Udtohan, Velez, Villarin, Yap, Ybañez,
        Zamora"""
    ),
    religions={
        "Roman Catholic": 72,
        "Seventh-day Adventist": 6,
        "Iglesia ni Cristo": 5,
        "Iglesia Filipina Independiente": 6,
        "United Church of Christ in the Philippines": 5,
        "Born Again Christian": 6,
    },
)
TAGALOG = Community(
    male=_CHRISTIAN_MALE,
    female=_CHRISTIAN_FEMALE,
    male_seconds=_CHRISTIAN_MALE_SECONDS,
    female_seconds=_CHRISTIAN_FEMALE_SECONDS,
    families=_listed(
        """Agoncillo, Alcantara, Aquino, Atienza, Bautista, Bonifacio, Buenaventura, Castillo, Catacutan, Cruz, De
        Castro, De Guzman, De Leon, De los Reyes, Dela Cruz, Dela Peña, Dela Rosa, Del Mundo, Del Rosario,
        Dimaculangan, Dimaano, Domingo, Evangelista, Fajardo, Fernandez, Flores, Francisco, Garcia, Gatdula,
        Gonzales, Guevarra, Ilagan, Katigbak, Lacsamana, Lualhati, Macaraeg, Macatangay, Magno, Malabanan,
        Manalo, Maniquis, Mendoza, Mercado, Navarro, Ocampo, Panganiban, Pangilinan, Peña, Punongbayan,
        Quiambao, Ramos, Reyes, Rivera, Salonga, San Juan, Santiago, Santos, Sison, Soriano, Tolentino, Torres,
        Valdez, Villanueva, Zaragoza"""
    ),
    religions={"Roman Catholic": 78, "Iglesia ni Cristo": 9, "Born Again Christian": 8, "Seventh-day Adventist": 5},
)
SUFFIXES = {"Jr.": 7, "III": 2, "II": 1}  # of men

# Municipalities with some of their barangays, and how many of a hundred students come from there.
PLACES: dict[tuple[str, tuple[str, ...]], float] = {
    (
        "Maigo, Lanao del Norte",
        _listed("Balagatasa, Camp 1, Inoma, Labuay, Liangan West, Mahayahay, Maliwanag, Mentring, Poblacion, Segapod"),
    ): 22,
    (
        "Kolambugan, Lanao del Norte",
        _listed("Baybay, Lumbac, Manga, Mukas, Muntay, Poblacion, Riverside, San Roque, Sucodan, Tabigue, Titunod"),
    ): 13,
    (
        "Bacolod, Lanao del Norte",
        _listed("Alegria, Binuni, Esperanza, Liangan East, Minaulon, Pagayawan, Poblacion, Punod, Rupagan"),
    ): 10,
    (
        "Kauswagan, Lanao del Norte",
        _listed("Bara-ason, Kawit Occidental, Kawit Oriental, Libertad, Paiton, Poblacion, Tacub, Tugar"),
    ): 8,
    (
        "Tubod, Lanao del Norte",
        _listed("Bualan, Bulod, Candis, Malingao, Palao, Pigcarangan, Poblacion, Pualas, San Antonio, Santo Niño"),
    ): 11,
    (
        "Baroy, Lanao del Norte",
        _listed("Baroy Daku, Lindongan, Pange, Poblacion, Princesa, Sagadan Lower, Salong, San Juan, Village"),
    ): 6,
    (
        "Lala, Lanao del Norte",
        _listed("Abaga, Lanipao, Maranding, Matampay, Pacita, Pinoyak, Rebe, San Isidro Upper, Simpak, Tenazas"),
    ): 8,
    (
        "Kapatagan, Lanao del Norte",
        _listed("Balili, Buenavista, Butadon, Cathedral Falls, Donggoan, Lapinig, Margos, Poblacion, Taguitic"),
    ): 6,
    (
        "Sultan Naga Dimaporo, Lanao del Norte",
        _listed("Bangaan, Cabongbongan, Calibao, Koreo, Maganding, Mahayahay, Pikalawag, Piniolan, Ramain, Topocon"),
    ): 6,
    ("Munai, Lanao del Norte", _listed("Balabacun, Lingco-an, Lindongan, Panggao, Tambo, Pindolonan")): 3,
    ("Linamon, Lanao del Norte", _listed("Busque, Larapan, Magoong, Napo, Poblacion, Robocon, Samburon")): 4,
    ("Salvador, Lanao del Norte", _listed("Barandia, Camp III, Curva-Miagao, Daligdigan, Mabatao, Poblacion")): 3,
}
COURSES = {
    "BS Agriculture": 13,
    "BS Fisheries": 7,
    "BS Environmental Science": 4,
    "BS Information Technology": 14,
    "BS Computer Science": 6,
    "BS Business Administration": 12,
    "BS Hospitality Management": 6,
    "BS Agricultural and Biosystems Engineering": 4,
    "Bachelor of Elementary Education": 11,
    "Bachelor of Secondary Education major in English": 5,
    "Bachelor of Secondary Education major in Filipino": 4,
    "Bachelor of Secondary Education major in Mathematics": 4,
    "Bachelor of Secondary Education major in Science": 3,
    "AB English Language": 3,
    "AB Political Science": 4,
}
